"""Rows of a store larger than memory: a window of shards at a time, the next one read meanwhile by threads."""

import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

import torch

from mamp_trainer.data.clips import ClipTable
from mamp_trainer.data.order import OrderOfEpoch, Window
from mamp_trainer.data.reading import allocate_buffer, read_shard
from mamp_trainer.data.rows import RowBuffer
from mamp_trainer.data.store import Store

READER_THREADS = 2
"""Threads that read: while zarr decodes one shard, the other's rows are packed. Never processes: a fork would
take zarr's event loop along without its thread."""


@dataclass(frozen=True, slots=True)
class _WindowRead:
    """A window being read into memory of its own."""

    window: Window
    memory: RowBuffer
    buffer: RowBuffer
    shards: list[Future[None]]

    def finish(self) -> RowBuffer:
        """Wait for the last shard, and raise what a reader met."""
        for shard in self.shards:
            shard.result()
        return self.buffer

    def cancel(self) -> RowBuffer:
        """Return the memory once no reader writes into it."""
        for shard in self.shards:
            shard.cancel()
        wait(self.shards)
        return self.memory


class StreamedRows:
    """Rows that pass through host memory window by window.

    Memory for two windows is all that is ever held: the current one, and the one after it in the order, across
    the ends of epochs. So the readers' queue is bounded by the shards of one window. Every rank reads whole
    windows, though it takes only its share of each batch.

    Args:
        store: where the rows are.
        table: the clips.
        window: shards of a window, as in the order; None for all.
        with_motion: whether to add up the stored motion to trajectories.
    """

    def __init__(self, store: Store, table: ClipTable, window: int | None, with_motion: bool) -> None:
        rows = int(table.shard_row_counts.sort(descending=True).values[:window].sum())
        host = torch.device("cpu")
        self._store, self._table = store, table
        self._free = [allocate_buffer(store, rows, with_motion, host) for _ in range(2)]
        self._readings: deque[_WindowRead] = deque()
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="mampctl-reader")
        self._stopped = Event()
        weakref.finalize(self, _stop_readers, self._readers, self._stopped)

    def row_buffers(self, order_of_epoch: OrderOfEpoch, epoch: int, share: slice) -> Iterator[tuple[slice, RowBuffer]]:
        """Yield the windows that the positions lie in, each with the positions it has; see `Rows`."""
        for number, part in order_of_epoch(epoch).window_parts(share):
            yield part, self._read_window(order_of_epoch, epoch, number)

    def _read_window(self, plan: OrderOfEpoch, epoch: int, number: int) -> RowBuffer:
        """Return a window's rows: the current one, the next one, or any other, read from now on."""
        wanted = plan(epoch).windows[number]
        while self._readings and self._readings[0].window is not wanted:
            self._free.append(self._readings.popleft().cancel())
        if not self._readings:
            self._start_reading(wanted)
        if len(self._readings) == 1:
            self._start_reading(_next_window(plan, epoch, number))
        return self._readings[0].finish()

    def _start_reading(self, window: Window) -> None:
        memory, offset = self._free.pop(), self._table.shard_offsets(window.shards)
        shards = [
            self._readers.submit(_read_unless_stopped, self._stopped, self._store, self._table, shard, memory, int(offset[shard]))
            for shard in window.shards.tolist()
        ]
        held = RowBuffer(memory.joints, memory.trajectory, offset)
        self._readings.append(_WindowRead(window, memory, held, shards))


def _next_window(plan: OrderOfEpoch, epoch: int, number: int) -> Window:
    windows = plan(epoch).windows
    return windows[number + 1] if number + 1 < len(windows) else plan(epoch + 1).windows[0]


def _read_unless_stopped(stopped: Event, store: Store, table: ClipTable, shard: int, memory: RowBuffer, at: int) -> None:
    if not stopped.is_set():
        read_shard(store, table, shard, memory, at)


def _stop_readers(readers: ThreadPoolExecutor, stopped: Event) -> None:
    """End the readers of rows that nobody holds any more; not a method, which would hold them."""
    stopped.set()
    readers.shutdown(wait=False, cancel_futures=True)
