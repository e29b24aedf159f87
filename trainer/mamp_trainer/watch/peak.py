"""How fast the device multiplies matrices: what a model's rate is measured against."""

import time

import torch

from mamp_trainer.model.projection import Linear

_SIZE = {"cuda": 8192, "cpu": 1024}
_REPEATS = 5


def device_peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Return floating-point operations a second of the fastest of five products of large square matrices.

    Takes a fraction of a second, and waits for the device.

    Args:
        device: the one to measure.
        dtype: of the matrices, float32 under the precision that torch is set to.
    """
    size = _SIZE[device.type]
    layer = Linear(size, size, bias=False).to(device, dtype)
    matrix = torch.rand(size, size, device=device).to(dtype)
    with torch.no_grad():
        return 2 * size**3 / min(_time_matmul(layer, matrix) for _ in range(_REPEATS))


def _time_matmul(layer: Linear, matrix: torch.Tensor) -> float:
    """Time a product, made as the network makes its own."""
    _synchronise(matrix.device)
    start = time.perf_counter()
    layer(matrix)
    _synchronise(matrix.device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
