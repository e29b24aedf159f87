"""The order of the clips: a pure function of seed and epoch, divided into windows, steps and ranks.

The order does not depend on where the clips live. The shards are shuffled, each `window` consecutive shards form a
window, and the clips of a window are shuffled. With all shards in one window that is a full shuffle, as in the
authors' code.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mamp_trainer.data.clips import ClipTable
from mamp_trainer.data.rng import RngStream, hash_index


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Shards whose clips are shuffled together, and the positions of these clips in the order."""

    shards: Tensor
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class ClipOrder:
    """The clips of an epoch in their order, (clips,) int64, and the windows that divide it."""

    clip: Tensor
    windows: list[Window]

    def window_parts(self, share: slice) -> Iterator[tuple[int, slice]]:
        """Yield the number of each window that `share` overlaps, and the overlap; an empty share has one part."""
        stops = [window.stop for window in self.windows]
        for number in range(min(bisect_right(stops, share.start), len(stops) - 1), len(stops)):
            yield number, slice(max(share.start, self.windows[number].start), min(share.stop, stops[number]))
            if share.stop <= stops[number]:
                return


OrderOfEpoch = Callable[[int], ClipOrder]
"""The order of an epoch, counted from 0; the same object whenever it is asked for again."""


def epoch_order(seed: int, epoch: int, table: ClipTable, window: int | None) -> ClipOrder:
    """Return the order of a training epoch.

    Args:
        seed: of the run.
        epoch: 0-based.
        table: the clips.
        window: shards shuffled together; None for all.
    """
    turns = hash_index(seed, epoch, RngStream.SHARDS, table.shard_numbers).argsort(stable=True)
    shuffled = hash_index(seed, epoch, RngStream.ORDER, torch.arange(len(table))).argsort(stable=True)
    return _divide_into_windows(table, shuffled, turns, window)


def store_order(table: ClipTable, window: int | None) -> ClipOrder:
    """Return the clips shard by shard, each shard's by index: in stores sorted by id, simply by index."""
    clips = torch.arange(len(table))
    by_shard = clips[table.shard.argsort(stable=True)]
    return _divide_into_windows(table, by_shard, torch.arange(len(table.shard_row_counts)), window)


def _divide_into_windows(table: ClipTable, clips: Tensor, turns: Tensor, window: int | None) -> ClipOrder:
    """Bring the windows of consecutive `turns` after each other, the clips of each in the order of `clips`."""
    size = window or len(turns)
    turn = torch.empty_like(turns).index_copy_(0, turns, torch.arange(len(turns)))
    number = turn[table.shard] // size
    stops = torch.bincount(number).cumsum(0).tolist()
    starts = [0, *stops[:-1]]
    windows = [Window(turns[at * size : (at + 1) * size], starts[at], stops[at]) for at in range(len(stops))]
    return ClipOrder(clips[number[clips].argsort(stable=True)], windows)


def steps_per_epoch(clips: int, batch_size: int) -> int:
    """Return the steps of a training epoch.

    The last incomplete batch is dropped, as in the authors' code. Where not even one batch is complete, a
    single batch holds all clips, so that small sets can be trained on.
    """
    return max(clips // batch_size, 1)


def batch_positions(step: int, batch_size: int, clips: int, rank: int = 0, world_size: int = 1) -> slice:
    """Return a rank's share of a global batch, as positions in the epoch's order.

    The ranks' shares follow each other, differ by at most one clip and make up the same batch for every
    number of ranks.

    Args:
        step: 0-based, within the epoch.
        batch_size: clips of the global batch.
        clips: all clips; the last batch ends there.
        rank: which share.
        world_size: of how many.
    """
    first = step * batch_size
    size = max(min(batch_size, clips - first), 0)
    return slice(first + size * rank // world_size, first + size * (rank + 1) // world_size)
