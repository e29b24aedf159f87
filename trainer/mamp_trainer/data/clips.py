"""The table of a run's clips: their columns in host memory, and how their rows are packed shard by shard."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.io.store_reader import Store


@dataclass(frozen=True, slots=True)
class ClipTable:
    """The columns of chosen clips, in host memory: batches are planned there without waiting for the device.

    A clip belongs to the shard of its first row, though it may end in the next one. Packed, the rows of a shard's
    clips follow each other in store order; body b of a clip has rows packed_row + b·frames ... + frames. S is the
    number of shards that hold at least one of the clips.

    Attributes:
        first_row: (clips,) int64, in the store.
        frames, bodies, valid_frames, label: (clips,) int64.
        shard: (clips,) int64, 0 ... S - 1.
        packed_row: (clips,) int64, its first row among the packed rows of its shard.
        shard_numbers: (S,) int64, the shards' numbers in the store, ascending.
        shard_row_counts: (S,) int64, packed rows of each shard.
        store_order: (clips,) int64, the clips in store order, and so shard by shard.
        shard_edges: (S + 1,) int64, where each shard's clips begin in `store_order`, and their end.
    """

    first_row: Tensor
    frames: Tensor
    bodies: Tensor
    valid_frames: Tensor
    label: Tensor
    shard: Tensor
    packed_row: Tensor
    shard_numbers: Tensor
    shard_row_counts: Tensor
    store_order: Tensor
    shard_edges: Tensor

    def __len__(self) -> int:
        return len(self.first_row)

    def shard_clips(self, shard: int) -> Tensor:
        """Return a shard's clips in store order."""
        return self.store_order[int(self.shard_edges[shard]) : int(self.shard_edges[shard + 1])]

    def shard_offsets(self, shards: Tensor) -> Tensor:
        """Return where each of these shards begins when they follow each other: (S,) int64, 0 for other shards."""
        rows = self.shard_row_counts[shards]
        return torch.zeros_like(self.shard_row_counts).index_copy_(0, shards, rows.cumsum(0) - rows)


def store_clip_table(store: Store, clips: NDArray[np.int64]) -> ClipTable:
    """Return the table of chosen clips.

    Args:
        store: the store.
        clips: (clips,) indices into the store's clips; a clip's position in this list is its global index.
    """
    names = ("first_row", "frames", "bodies", "valid_frames", "label")
    columns = (torch.from_numpy(store.column(name)[clips]) for name in names)
    return clip_table(*columns, shard_rows=store.shard_rows)


def clip_table(
    first: Tensor, frames: Tensor, bodies: Tensor, valid: Tensor, label: Tensor, *, shard_rows: int
) -> ClipTable:
    """Return the table of clips.

    Args:
        first: (clips,) int64, first row of each in the store.
        frames: (clips,) int64.
        bodies: (clips,) int64.
        valid: (clips,) int64, valid frames.
        label: (clips,) int64.
        shard_rows: rows of a shard.
    """
    unique_shards, inverse = np.unique(first.numpy() // shard_rows, return_inverse=True)
    numbers, shard = torch.from_numpy(unique_shards), torch.from_numpy(inverse)
    by_row, counts = first.argsort(stable=True), frames * bodies
    rows = torch.zeros_like(numbers).index_add_(0, shard, counts)
    before = counts[by_row].cumsum(0) - counts[by_row] - (rows.cumsum(0) - rows)[shard[by_row]]
    packed_row = torch.empty_like(first).index_copy_(0, by_row, before)
    edges = torch.searchsorted(shard[by_row], torch.arange(len(numbers) + 1))
    return ClipTable(first, frames, bodies, valid, label, shard, packed_row, numbers, rows, by_row, edges)


def concat_ranges(first: Tensor, count: Tensor) -> Tensor:
    """Return first[0] ... first[0] + count[0] - 1, then first[1] ... and so on, as one (count.sum(),) tensor."""
    return torch.repeat_interleave(first - (count.cumsum(0) - count), count) + torch.arange(int(count.sum()))


def body_index(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the owner and the number of every body of clips that have `counts` bodies, each (counts.sum(),) int64."""
    return torch.repeat_interleave(counts), concat_ranges(torch.zeros_like(counts), counts)
