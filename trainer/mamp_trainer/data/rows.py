"""Rows of clips in memory: reading a shard's, keeping those of all shards, picking those of a batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_trainer.data.clips import ClipTable, bodies_of, spans
from mamp_trainer.data.order import Plan
from mamp_trainer.data.store import Store


@dataclass(frozen=True, slots=True)
class Held:
    """Packed rows of some shards: coordinate by coordinate, unlike in the store, so that turning them is fast.

    Attributes:
        joints: (rows, C, V) float32, metres.
        trajectory: (rows, C, V) float32, metres, or None: the stored motion added up, which is the joints up to
            one translation a body.
        offset: (S,) int64, in host memory: where each of these shards begins.
    """

    joints: Tensor
    trajectory: Tensor | None
    offset: Tensor


class Rows(Protocol):
    """What provides the rows of clips."""

    def hold(self, plan: Plan, epoch: int, share: slice) -> Iterator[tuple[slice, Held]]:
        """Yield rows of the clips at some positions of an epoch's order, part by part.

        What is yielded holds until the next part is asked for.

        Args:
            plan: the order of every epoch.
            epoch: 0-based.
            share: positions in its order.

        Raises:
            DamagedStoreError: rows are missing or unreadable.
        """


@dataclass(frozen=True, slots=True)
class ResidentRows:
    """The rows of all clips, loaded once, on the training device or in host memory."""

    held: Held

    def hold(self, _plan: Plan, _epoch: int, share: slice) -> Iterator[tuple[slice, Held]]:
        """Yield what is held."""
        yield share, self.held


def load_rows(store: Store, table: ClipTable, device: torch.device, with_motion: bool) -> ResidentRows:
    """Load the rows of all clips, one large read a shard.

    Args:
        store: where they are.
        table: the clips.
        device: where they go; the host never holds more than a shard of them besides.
        with_motion: whether to add up the stored motion to trajectories.

    Raises:
        DamagedStoreError: rows are missing or unreadable.
    """
    held = allocate(store, int(table.rows.sum()), with_motion, device)
    offset = table.offsets(torch.arange(len(table.rows)))
    for shard in range(len(table.rows)):
        read_shard(store, table, shard, held, int(offset[shard]))
    return ResidentRows(Held(held.joints, held.trajectory, offset))


def allocate(store: Store, rows: int, with_motion: bool, device: torch.device) -> Held:
    """Return memory for packed rows, holding none yet."""
    shape = store.arrays["joints"].shape
    joints = torch.empty((rows, shape[2], shape[1]), dtype=torch.float32, device=device)
    return Held(joints, torch.empty_like(joints) if with_motion else None, torch.empty(0, dtype=torch.int64))


def read_shard(store: Store, table: ClipTable, shard: int, into: Held, at: int) -> None:
    """Read the rows of a shard's clips, up to the end of the last one, which may lie in the next shard.

    Args:
        store: where they are.
        table: the clips.
        shard: 0 ... S - 1.
        into: the memory; its tensors are filled from row `at` on.
        at: the shard's offset.

    Raises:
        DamagedStoreError: rows are missing or unreadable.
    """
    clips = table.members(shard)
    first, count = table.first_row[clips], table.frames[clips] * table.bodies[clips]
    start, stop = int(first.min()), int((first + count).max())
    index, part = spans(first - start, count), slice(at, at + int(table.rows[shard]))
    into.joints[part].copy_(_choose(store.read_rows("joints", start, stop), index).transpose(1, 2))
    if into.trajectory is not None:
        motion = _choose(store.read_rows("motion", start, stop), index)
        owner, body = bodies_of(table.bodies[clips])
        frames = table.frames[clips][owner]
        _add_up(motion, table.place[clips][owner] + body * frames, frames)
        into.trajectory[part].copy_(motion.transpose(1, 2))


def _choose(rows: NDArray[np.float32], index: Tensor) -> Tensor:
    return torch.from_numpy(rows if len(index) == len(rows) else rows[index.numpy()])


def bring(rows: Tensor, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Bring rows to the device that trains, without waiting for it; those that are there already stay as they are.

    Only what moves is page-locked, not the rows themselves: it is the copy that needs it, and gigabytes of
    locked memory would be taken from the rest of the machine.

    Args:
        rows: (rows, C, V) on `device` or on the host.
        index: (R,) int64, on the host: the rows that are needed.
        device: where they are needed.

    Returns:
        Rows and index on the device; the rows may be others, or more.
    """
    if rows.device == device:
        return rows, move(index, device)
    shape = (len(index), *rows.shape[1:])
    staged = torch.empty(shape, dtype=rows.dtype, pin_memory=device.type == "cuda")
    torch.index_select(rows, 0, index, out=staged)
    return staged.to(device, non_blocking=True), torch.arange(len(index), device=device)


def move(values: Tensor, device: torch.device) -> Tensor:
    """Move a tensor from the host to a device without waiting for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _add_up(rows: Tensor, starts: Tensor, frames: Tensor) -> None:
    """Turn stride-1 motion into trajectories in place: each row becomes the sum of its body's earlier rows.

    All bodies advance together, frame by frame, in float64: the result does not depend on which other bodies
    are loaded, and errs by little more than the rounding of the motion itself.

    Args:
        rows: (rows, V, 3) packed motion.
        starts: (bodies,) first row of each body.
        frames: (bodies,) its length.
    """
    longest_first = frames.argsort(descending=True, stable=True)
    heads, lengths = starts[longest_first], -frames[longest_first].numpy()
    position = torch.zeros((len(heads), *rows.shape[1:]), dtype=torch.float64)
    for frame in range(int(frames.max())):
        alive = int(np.searchsorted(lengths, -frame, side="left"))
        at = heads[:alive] + frame
        step = rows.index_select(0, at)
        rows.index_copy_(0, at, position[:alive].float())
        position[:alive] += step
