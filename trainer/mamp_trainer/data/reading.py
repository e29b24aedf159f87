"""Reading the rows of clips from a store: those of a shard, those of all shards."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_trainer.data.clips import ClipTable, bodies_of, spans
from mamp_trainer.data.rows import Held, ResidentRows
from mamp_trainer.data.store import Store


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
    index, part = spans(first - start, count).numpy(), slice(at, at + int(table.rows[shard]))
    _put(_choose(store.read_rows("joints", start, stop), index), into.joints[part])
    if into.trajectory is not None:
        motion = _choose(store.read_rows("motion", start, stop), index)
        owner, body = bodies_of(table.bodies[clips])
        frames = table.frames[clips][owner]
        _add_up(motion, (table.place[clips][owner] + body * frames).numpy(), frames.numpy())
        _put(motion, into.trajectory[part])


def _choose(rows: NDArray[np.float32], index: NDArray[np.int64]) -> NDArray[np.float32]:
    return rows if len(index) == len(rows) else rows[index]


def _put(rows: NDArray[np.float32], into: Tensor) -> None:
    if into.device.type == "cpu":
        np.copyto(into.numpy(), rows.swapaxes(1, 2))  # not by torch, whose threads are the training's
    else:
        into.copy_(torch.from_numpy(rows).transpose(1, 2))


def _add_up(rows: NDArray[np.float32], starts: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
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
