"""How fast the device multiplies matrices: what a model's rate is measured against."""

import time

import torch

_SIZE = {"cuda": 8192, "cpu": 1024}
_ROUNDS = 5


def measure_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Return floating-point operations a second of the fastest of five products of large square matrices.

    Takes a fraction of a second, and waits for the device.

    Args:
        device: the one to measure.
        dtype: of the matrices, float32 under the precision that torch is set to.
    """
    size = _SIZE[device.type]
    one, other = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(_seconds(one, other) for _ in range(_ROUNDS))


def _seconds(one: torch.Tensor, other: torch.Tensor) -> float:
    _wait(one.device)
    start = time.perf_counter()
    torch.mm(one, other)
    _wait(one.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
