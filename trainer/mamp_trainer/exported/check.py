"""Owns whether an exported network gives the numbers of the one it was made from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mamp_schemas.errors import ExportError
from mamp_trainer.exported.network import ExportedNetwork

TOLERANCE = 1e-4
"""Largest difference, where the largest number is at most 1; relative to that number where it is larger."""

CHECK_BATCH_SIZES = (1, 3)
"""Clips of the batches that are tried: neither is the size that the network is traced with."""

RunExported = Callable[[Tensor], Sequence[Tensor]]
"""What runs an exported network: clips to its outputs, in order."""


def synthetic_clips(count: int, bodies: int, frames: int, joints: int, seed: int = 0) -> Tensor:
    """Return made-up samples, (N, M, T, V, 3): poses of a metre that wander; every other clip has a single body."""
    generator = torch.Generator().manual_seed(seed)
    pose = 0.5 * torch.randn(count, bodies, 1, joints, 3, generator=generator)
    clips = pose + 0.02 * torch.randn(count, bodies, frames, joints, 3, generator=generator).cumsum(dim=2)
    clips[::2, 1:] = 0
    return clips


@torch.no_grad()
def check_export(network: ExportedNetwork, run: RunExported, bodies: int, file_name: str) -> float:
    """Compare an exported network with its origin, on batches of `TRIALS`.

    Args:
        network: the origin.
        run: runs what was made of it.
        bodies: M.
        what: the file, named in errors.

    Returns:
        The largest difference found, in units of what `TOLERANCE` is in.

    Raises:
        ExportError: they differ by more than `TOLERANCE`.
    """
    spec, worst = network.encoder.spec, 0.0
    for count in CHECK_BATCH_SIZES:
        clips = synthetic_clips(count, bodies, spec.frames, spec.joints, seed=count)
        for name, expected, got in zip(network.outputs, network(clips), run(clips), strict=True):
            if got.shape != expected.shape:
                raise _mismatch_error(file_name, f"'{name}' has shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
            scale = max(1.0, float(expected.abs().max()))
            difference = float((got - expected).abs().max()) / scale
            if not difference <= TOLERANCE:
                raise _mismatch_error(file_name, f"'{name}' of {count} clips differs by {difference:.1e}, more than {TOLERANCE}")
            worst = max(worst, difference)
    return worst


def _mismatch_error(what: str, problem: str) -> ExportError:
    return ExportError(
        f"{what} would not give the numbers of the model: {problem}; it was not written",
        remedy="Use the versions of constraints.txt; if it stays, export to the other format (.onnx, .pt2).",
    )
