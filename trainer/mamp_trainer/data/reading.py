"""Reading the rows of clips from a store: those of a shard, those of all shards."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_trainer.data.clips import ClipTable, body_index, concat_ranges
from mamp_trainer.data.rows import RowBuffer, ResidentRows
from mamp_trainer.data.store import Store


def load_all_rows(store: Store, table: ClipTable, device: torch.device, with_motion: bool) -> ResidentRows:
    """Load the rows of all clips, one large read a shard.

    Args:
        store: where they are.
        table: the clips.
        device: where they go; the host never holds more than a shard of them besides.
        with_motion: whether to add up the stored motion to trajectories.

    Raises:
        DamagedStoreError: rows are missing or unreadable.
    """
    held = allocate_buffer(store, int(table.shard_row_counts.sum()), with_motion, device)
    offset = table.shard_offsets(torch.arange(len(table.shard_row_counts)))
    for shard in range(len(table.shard_row_counts)):
        read_shard(store, table, shard, held, int(offset[shard]))
    return ResidentRows(RowBuffer(held.joints, held.trajectory, offset))


def allocate_buffer(store: Store, rows: int, with_motion: bool, device: torch.device) -> RowBuffer:
    """Return memory for packed rows, holding none yet."""
    shape = store.arrays["joints"].shape
    joints = torch.empty((rows, shape[2], shape[1]), dtype=torch.float32, device=device)
    return RowBuffer(joints, torch.empty_like(joints) if with_motion else None, torch.empty(0, dtype=torch.int64))


def read_shard(store: Store, table: ClipTable, shard: int, into: RowBuffer, at: int) -> None:
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
    clips = table.shard_clips(shard)
    first, count = table.first_row[clips], table.frames[clips] * table.bodies[clips]
    start, stop = int(first.min()), int((first + count).max())
    index, part = concat_ranges(first - start, count).numpy(), slice(at, at + int(table.shard_row_counts[shard]))
    _copy_rows(_select_rows(store.read_rows("joints", start, stop), index), into.joints[part])
    if into.trajectory is not None:
        motion = _select_rows(store.read_rows("motion", start, stop), index)
        owner, body = body_index(table.bodies[clips])
        frames = table.frames[clips][owner]
        _integrate_motion(motion, (table.packed_row[clips][owner] + body * frames).numpy(), frames.numpy())
        _copy_rows(motion, into.trajectory[part])


def _select_rows(rows: NDArray[np.float32], index: NDArray[np.int64]) -> NDArray[np.float32]:
    return rows if len(index) == len(rows) else rows[index]


def _copy_rows(rows: NDArray[np.float32], into: Tensor) -> None:
    if into.device.type == "cpu":
        np.copyto(into.numpy(), rows.swapaxes(1, 2))  # not by torch, whose threads are the training's
    else:
        into.copy_(torch.from_numpy(rows).transpose(1, 2))


def _integrate_motion(rows: NDArray[np.float32], starts: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
    """Turn stride-1 motion into trajectories in place: each row becomes the sum of its body's earlier rows.

    All bodies advance together, frame by frame, in float64: the result does not depend on which other bodies
    are loaded, and errs by little more than the rounding of the motion itself.

    Args:
        rows: (rows, V, 3) packed motion.
        starts: (bodies,) first row of each body.
        frames: (bodies,) its length.
    """
    longest_first = np.argsort(-frames, kind="stable")
    heads, lengths = starts[longest_first], -frames[longest_first]
    position = np.zeros((len(heads), *rows.shape[1:]))
    for frame in range(int(frames.max())):
        alive = int(np.searchsorted(lengths, -frame, side="left"))
        at = heads[:alive] + frame
        step = rows[at]
        rows[at] = position[:alive]
        position[:alive] += step
