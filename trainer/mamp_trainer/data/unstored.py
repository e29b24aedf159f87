"""Clips that come in memory instead of a store: packed as a store's rows are once they are loaded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamp_trainer.data.batches import Clips
from mamp_trainer.data.clips import clip_table
from mamp_trainer.data.rows import RowBuffer, ResidentRows


class Recording(NamedTuple):
    """A clip as an ingest makes it.

    Attributes:
        joints: (M, T, V, 3) float32 of the real bodies only, metres.
        valid_frames: Tv, at least 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int


def clips_from_memory(recordings: Sequence[Recording], device: torch.device) -> Clips:
    """Return clips, without labels, in one shard on a device.

    Args:
        recordings: at least one, all of V joints; a clip's place among them is its global index.
        device: the one that computes.
    """
    bodies, frames = (torch.tensor([each.joints.shape[axis] for each in recordings]) for axis in (0, 1))
    valid = torch.tensor([each.valid_frames for each in recordings])
    count = bodies * frames
    total = int(count.sum())
    table = clip_table(count.cumsum(0) - count, frames, bodies, valid, torch.full_like(frames, -1), shard_rows=total)
    rows = np.concatenate([each.joints.reshape(-1, *each.joints.shape[2:]) for each in recordings])
    joints = torch.from_numpy(np.ascontiguousarray(rows.swapaxes(1, 2))).to(device)
    return Clips(table, ResidentRows(RowBuffer(joints, None, torch.zeros(1, dtype=torch.int64))), None, device)
