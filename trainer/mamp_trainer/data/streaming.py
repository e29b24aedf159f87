"""Read the rows of clips from a store, all at once or window by window during training."""

import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.io.store_reader import Store
from mamp_trainer.data.clips import ClipTable, body_index, concat_ranges
from mamp_trainer.data.host_memory import HOST_BYTES, allocate_rows, keep_in_memory
from mamp_trainer.data.rows import ResidentRows, RowBuffer
from mamp_trainer.data.sampling import OrderOfEpoch, Window


def load_all_rows(
    store: Store, table: ClipTable, device: torch.device, with_motion: bool, limit: int = HOST_BYTES
) -> ResidentRows:
    """Load the rows of all clips, one large read a shard.

    Args:
        store: the store.
        table: the clips.
        device: where the rows are to live; the host holds at most one shard of them besides.
        with_motion: whether to sum the stored motion to trajectories.
        limit: bytes of host memory; see `allocate_rows`.

    Raises:
        DamagedStoreError: rows are missing or unreadable.
    """
    buffer = allocate_buffer(store, int(table.shard_row_counts.sum()), with_motion, device, limit)
    offset = table.shard_offsets(torch.arange(len(table.shard_row_counts)))
    for shard in range(len(table.shard_row_counts)):
        read_shard(store, table, shard, buffer, int(offset[shard]))
        buffer.release()
    return ResidentRows(replace(buffer, offset=offset))


def allocate_buffer(store: Store, rows: int, with_motion: bool, device: torch.device, limit: int) -> RowBuffer:
    """Return empty memory for packed rows; on the host no more than `limit` bytes of it, see `allocate_rows`."""
    _, joints, coordinates = store.arrays["joints"].shape
    kinds = 2 if with_motion else 1
    if device.type == "cpu":
        memory, release = allocate_rows((kinds, rows, coordinates, joints), limit)
    else:
        memory, release = torch.empty((kinds, rows, coordinates, joints), device=device), keep_in_memory
    return RowBuffer(memory[0], memory[1] if with_motion else None, torch.empty(0, dtype=torch.int64), release)


def read_shard(store: Store, table: ClipTable, shard: int, into: RowBuffer, at: int) -> None:
    """Read the rows of a shard's clips, up to the end of the last one, which may lie in the next shard.

    Args:
        store: the store.
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
        np.copyto(into.numpy(), rows.swapaxes(1, 2))  # not by torch: its threads compute the training
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


READER_THREADS = 2
"""Reader threads: while zarr decodes one shard, the rows of another are packed. They are no processes: a fork would
copy zarr's event loop without its thread."""


@dataclass(frozen=True, slots=True)
class WindowRead:
    """A window that is being read into its own memory."""

    window: Window
    memory: RowBuffer
    buffer: RowBuffer
    shards: list[Future[None]]

    def finish(self) -> RowBuffer:
        """Wait for the last shard, and raise the readers' errors."""
        for shard in self.shards:
            shard.result()
        return self.buffer

    def cancel(self) -> RowBuffer:
        """Stop reading, and return the memory once no reader writes into it."""
        for shard in self.shards:
            shard.cancel()
        wait(self.shards)
        return self.memory


class StreamedRows:
    """Rows that are streamed through host memory window by window.

    There is memory for two windows: the current one, and the next one in the order, across the ends of epochs. So the
    readers' queue is bounded by the shards of one window. Every rank reads whole windows, though it uses only its share
    of each batch.

    Args:
        store: the store.
        table: the clips.
        window: shards of a window, as in the order; None for all.
        with_motion: whether to add up the stored motion to trajectories.
        limit: bytes of host memory for both windows; see `allocate_rows`.

    Attributes:
        window_reads: the windows in memory or being read, the current one first.
    """

    def __init__(
        self, store: Store, table: ClipTable, window: int | None, with_motion: bool, limit: int = HOST_BYTES
    ) -> None:
        rows = int(table.shard_row_counts.sort(descending=True).values[:window].sum())
        host = torch.device("cpu")
        self._store, self._table = store, table
        self._free = [allocate_buffer(store, rows, with_motion, host, limit // 2) for _ in range(2)]
        self.window_reads: deque[WindowRead] = deque()
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="mampctl-reader")
        self._stopped = Event()
        weakref.finalize(self, _stop_readers, self._readers, self._stopped)

    def row_buffers(self, order_of_epoch: OrderOfEpoch, epoch: int, share: slice) -> Iterator[tuple[slice, RowBuffer]]:
        """Yield the windows of the positions, each with its positions; see `RowSource`."""
        for number, part in order_of_epoch(epoch).window_parts(share):
            buffer = self._read_window(order_of_epoch, epoch, number)
            yield part, buffer
            buffer.release()

    def _read_window(self, plan: OrderOfEpoch, epoch: int, number: int) -> RowBuffer:
        """Return a window's rows; a window that is not being read yet is read from now on."""
        wanted = plan(epoch).windows[number]
        while self.window_reads and self.window_reads[0].window is not wanted:
            self._free.append(self.window_reads.popleft().cancel())
        if not self.window_reads:
            self._start_reading(wanted)
        if len(self.window_reads) == 1:
            self._start_reading(_next_window(plan, epoch, number))
        return self.window_reads[0].finish()

    def _start_reading(self, window: Window) -> None:
        memory, offset = self._free.pop(), self._table.shard_offsets(window.shards)
        shards = [
            self._readers.submit(
                _read_unless_stopped, self._stopped, self._store, self._table, shard, memory, int(offset[shard])
            )
            for shard in window.shards.tolist()
        ]
        held = replace(memory, offset=offset)
        self.window_reads.append(WindowRead(window, memory, held, shards))


def _next_window(plan: OrderOfEpoch, epoch: int, number: int) -> Window:
    windows = plan(epoch).windows
    return windows[number + 1] if number + 1 < len(windows) else plan(epoch + 1).windows[0]


def _read_unless_stopped(
    stopped: Event, store: Store, table: ClipTable, shard: int, memory: RowBuffer, at: int
) -> None:
    if not stopped.is_set():
        read_shard(store, table, shard, memory, at)
        memory.release()


def _stop_readers(readers: ThreadPoolExecutor, stopped: Event) -> None:
    """Stop the readers of a `StreamedRows` that is no longer used; a method would keep it alive."""
    stopped.set()
    readers.shutdown(wait=False, cancel_futures=True)
