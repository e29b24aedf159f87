"""Clips held in memory, on whatever device trains: loaded once, in large contiguous reads."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_trainer.data.store import Store

BLOCK_SHARDS = 4
"""Shards read at a time: enough for zarr to work on several, few enough that host memory stays small."""


@dataclass(frozen=True, slots=True)
class ResidentClips:
    """Ragged clips on one device; body b of a clip has rows first_row + b·frames ... + frames.

    Attributes:
        joints: (rows, V, 3) float32, metres.
        trajectory: (rows, V, 3) float32, metres, or None: the stored motion added up, which is the joints up to
            one translation a body.
        first_row, frames, bodies, valid_frames, label: (clips,) int64.
    """

    joints: Tensor
    trajectory: Tensor | None
    first_row: Tensor
    frames: Tensor
    bodies: Tensor
    valid_frames: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.first_row)

    @property
    def device(self) -> torch.device:
        """The device that holds the clips and makes batches of them."""
        return self.joints.device


def load(store: Store, clips: NDArray[np.int64], device: torch.device, with_motion: bool) -> ResidentClips:
    """Load clips onto a device.

    Args:
        store: where they are.
        clips: (clips,) indices into the store's clips.
        device: where they go; the host never holds more than some shards of them.
        with_motion: whether to add up the stored motion to trajectories.

    Raises:
        DamagedStoreError: rows are missing or unreadable.
    """
    first, frames, bodies, valid, label = (
        store.column(name)[clips] for name in ("first_row", "frames", "bodies", "valid_frames", "label")
    )
    chosen = _mark_rows(first, frames * bodies, store.arrays["joints"].shape[0])
    packed_first = (np.cumsum(chosen) - 1)[first]
    trajectory = None
    if with_motion:
        trajectory = _read_packed(store, "motion", chosen, device)
        starts = np.repeat(packed_first, bodies) + _body_numbers(bodies) * np.repeat(frames, bodies)
        _add_up(trajectory, starts, np.repeat(frames, bodies))
    columns = (torch.from_numpy(column).to(device) for column in (packed_first, frames, bodies, valid, label))
    return ResidentClips(_read_packed(store, "joints", chosen, device), trajectory, *columns)


def _mark_rows(first: NDArray[np.int64], counts: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
    edges = np.zeros(rows + 1, dtype=np.int32)
    np.add.at(edges, first, 1)
    np.add.at(edges, first + counts, -1)
    return np.cumsum(edges[:-1], dtype=np.int32) > 0


def _body_numbers(bodies: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 ... bodies - 1 of each clip, one clip after the other."""
    return np.arange(bodies.sum()) - np.repeat(np.cumsum(bodies) - bodies, bodies)


def _read_packed(store: Store, name: str, chosen: NDArray[np.bool_], device: torch.device) -> Tensor:
    """Read the chosen rows in store order, block by block, skipping blocks without any."""
    array = store.arrays[name]
    packed = torch.empty((int(chosen.sum()), *array.shape[1:]), dtype=torch.float32, device=device)
    block, done = (array.shards or array.chunks)[0] * BLOCK_SHARDS, 0
    for start in range(0, len(chosen), block):
        wanted = chosen[start : start + block]
        if wanted.any():
            rows = store.read_rows(name, start, start + len(wanted))[wanted]
            packed[done : done + len(rows)].copy_(torch.from_numpy(rows))
            done += len(rows)
    return packed


def _add_up(rows: Tensor, starts: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
    """Turn stride-1 motion into trajectories in place: each row becomes the sum of its body's earlier rows.

    All bodies advance together, frame by frame, in float64: the result does not depend on which other bodies
    are loaded, and errs by little more than the rounding of the motion itself.

    Args:
        rows: (rows, V, 3) packed motion.
        starts: (bodies,) first row of each body.
        frames: (bodies,) its length.
    """
    longest_first = np.argsort(-frames, kind="stable")
    lengths = -frames[longest_first]
    heads = torch.from_numpy(starts[longest_first]).to(rows.device)
    position = torch.zeros((len(heads), *rows.shape[1:]), dtype=torch.float64, device=rows.device)
    for frame in range(int(frames.max(initial=0))):
        alive = int(np.searchsorted(lengths, -frame, side="left"))
        at = heads[:alive] + frame
        step = rows.index_select(0, at)
        rows.index_copy_(0, at, position[:alive].float())
        position[:alive] += step
