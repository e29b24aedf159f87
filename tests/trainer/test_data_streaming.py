import gc
import os
import resource
import shutil
import threading
from concurrent.futures import wait
from dataclasses import fields
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from mamp_schemas.errors import DamagedStoreError
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.recipe import SamplingSpec
from mamp_trainer.data import batches
from mamp_trainer.data.batches import Clips, TrainBatches
from mamp_trainer.data.clips import store_clip_table
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rows import RowSource
from mamp_trainer.data.streaming import StreamedRows, load_all_rows
from tests.trainer.stores import SHARD_ROWS, make_clips, write_store
from tests.waiting import wait_until

CPU = torch.device("cpu")
SHAPES = [(1 + number % 2, 5 + 7 * number % 23) for number in range(40)] + [(1, 100), (1, 3), (2, 40)]
CHOSEN = np.array([number for number in range(len(SHAPES)) if number % 4 != 1])
"""Clips end in other shards than they begin in, one spans four shards, and some lie between those not chosen."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("data") / "ntu60.zarr", make_clips(SHAPES))


@pytest.fixture
def store_copy(path: Path, tmp_path: Path) -> Path:
    """A store that a test may spoil."""
    return Path(shutil.copytree(path, tmp_path / "own.zarr"))


def clips_of(path: Path, window: int | None, streamed: bool, with_motion: bool = False) -> Clips:
    store = open_store(path)
    table = store_clip_table(store, CHOSEN)
    rows: RowSource = (
        StreamedRows(store, table, window, with_motion) if streamed else load_all_rows(store, table, CPU, with_motion)
    )
    return Clips(table, rows, window, CPU)


def train(clips: Clips, batch_size: int = 4) -> TrainBatches:
    return TrainBatches(clips, SamplingSpec(min_frames=4), 12, 0, batch_size, 2, "copy")


def same(first: Batch, second: Batch) -> bool:
    names = [field.name for field in fields(first) if field.name != "unique_bodies"]  # which follow from `real`
    pairs = [(getattr(first, name), getattr(second, name)) for name in names]
    return all(torch.equal(a, b) if a is not None else b is None for a, b in pairs)


@pytest.fixture
def reads(store_copy: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The shards of the test's own store that are read, by the row where each read begins."""
    found: list[int] = []
    original = Store.read_rows

    def record(self: Store, name: str, start: int, stop: int) -> np.ndarray:
        if self.path == store_copy:
            found.append(start // SHARD_ROWS)
        return original(self, name, start, stop)

    monkeypatch.setattr(Store, "read_rows", record)
    return found


def settle(made: TrainBatches) -> None:
    """Wait until nothing more is being read."""
    assert isinstance(made.clips.rows, StreamedRows)
    wait([shard for window_read in made.clips.rows.window_reads for shard in window_read.shards])


def shard_numbers(made: TrainBatches, epoch: int, windows: slice) -> set[int]:
    table = made.clips.table
    return {int(table.shard_numbers[shard]) for window in made.order(epoch).windows[windows] for shard in window.shards}


@pytest.mark.parametrize("with_motion", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_streamed_rows__give_the_batches_of_resident_ones(path: Path, window: int | None, with_motion: bool) -> None:
    resident, streamed = (train(clips_of(path, window, streamed, with_motion)) for streamed in (False, True))
    for epoch in range(3):
        for step in range(resident.steps):
            assert same(resident.batch(epoch, step), streamed.batch(epoch, step))


def test_streamed_rows__read_in_threads_and_never_fork(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork after zarr has been used would take its event loop along without the thread that runs it."""
    for name in ("fork", "forkpty"):
        monkeypatch.setattr(os, name, lambda: pytest.fail("a process was forked"))
    made, children = train(clips_of(path, 2, streamed=True)), set(psutil.Process().children())
    for step in range(made.steps):
        made.batch(0, step)
    assert set(psutil.Process().children()) <= children
    assert any(thread.name.startswith("mampctl-reader") for thread in threading.enumerate())


@pytest.mark.parametrize("batch_size", [1, 10, 32])
def test_streamed_rows__batches_may_span_windows_or_share_one(path: Path, batch_size: int) -> None:
    resident, streamed = (train(clips_of(path, 2, streamed), batch_size) for streamed in (False, True))
    for step in range(resident.steps):
        assert same(resident.batch(0, step), streamed.batch(0, step))


@pytest.mark.parametrize("window", [None, 2])
def test_streamed_rows__give_the_same_test_batches(path: Path, window: int | None) -> None:
    resident, streamed = (
        batches.TestBatches(clips_of(path, size, flag), SamplingSpec(), 12, 5, 2, "zeros")
        for size, flag in ((None, False), (window, True))
    )
    for step in [*range(resident.steps)] * 2:
        assert same(resident.batch(step), streamed.batch(step))


@pytest.mark.parametrize("ranks", [2, 4, 5])
def test_streamed_rows__ranks_make_up_the_same_batch(path: Path, ranks: int) -> None:
    whole = train(clips_of(path, 2, streamed=False))
    shares = [train(clips_of(path, 2, streamed=True)) for _ in range(ranks)]
    for step in range(whole.steps):
        parts = [share.batch(1, step, rank, ranks) for rank, share in enumerate(shares)]
        assert torch.equal(torch.cat([part.x for part in parts]), whole.batch(1, step).x)
        assert torch.equal(torch.cat([part.clip for part in parts]), whole.batch(1, step).clip)


@pytest.mark.parametrize("steps", [[5, 6, 0, 1], [7, 3, 3, 2], [0, 7, 0, 7]])
def test_streamed_rows__steps_may_come_in_any_order(path: Path, steps: list[int]) -> None:
    resident, streamed = (train(clips_of(path, 3, streamed)) for streamed in (False, True))
    for epoch, step in zip([2, 0, 4, 4], steps, strict=True):
        assert same(resident.batch(epoch, step), streamed.batch(epoch, step))


def test_streamed_rows__going_on_within_an_epoch_reads_nothing_that_lies_before(
    store_copy: Path, reads: list[int]
) -> None:
    streamed = train(clips_of(store_copy, 3, streamed=True), batch_size=1)
    streamed.batch(1, streamed.order(1).windows[4].start + 1)
    settle(streamed)
    assert sorted(reads) == sorted(shard_numbers(streamed, 1, slice(4, 6)))


def test_streamed_rows__one_window_is_read_ahead_and_no_more(store_copy: Path, reads: list[int]) -> None:
    streamed = train(clips_of(store_copy, 3, streamed=True), batch_size=1)
    streamed.batch(0, 0)
    settle(streamed)
    assert set(reads) == shard_numbers(streamed, 0, slice(2))
    streamed.batch(0, streamed.order(0).windows[0].stop)
    settle(streamed)
    assert set(reads) == shard_numbers(streamed, 0, slice(3))


def test_streamed_rows__the_next_epoch_is_read_ahead(store_copy: Path, reads: list[int]) -> None:
    streamed = train(clips_of(store_copy, 3, streamed=True), batch_size=1)
    streamed.batch(0, streamed.steps - 1)
    expected = shard_numbers(streamed, 0, slice(-1, None)) | shard_numbers(streamed, 1, slice(1))
    settle(streamed)
    assert set(reads) == expected


def first_shard(made: TrainBatches, window: int) -> int:
    return int(made.clips.table.shard_numbers[made.order(0).windows[window].shards[0]])


@pytest.mark.parametrize("left", [0, 1000])
def test_streamed_rows__a_truncated_shard_is_named_where_it_is_needed(store_copy: Path, left: int) -> None:
    streamed = train(clips_of(store_copy, 3, streamed=True), batch_size=1)
    number = first_shard(streamed, 2)
    shard = store_copy / "joints" / "c" / str(number) / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:left])
    order = streamed.order(0)
    run(streamed, 0, order.windows[1].start)
    with pytest.raises(DamagedStoreError, match=f"own.zarr.*joints/c/{number}/0/0") as caught:
        run(streamed, order.windows[1].start, order.windows[2].stop)
    assert "mampctl verify" in caught.value.remedy


def run(made: TrainBatches, start: int, stop: int) -> None:
    for step in range(start, stop):
        made.batch(0, step)


def test_streamed_rows__a_store_that_vanishes_is_named(store_copy: Path) -> None:
    streamed = train(clips_of(store_copy, 2, streamed=True), batch_size=1)
    streamed.batch(0, 0)
    shutil.rmtree(store_copy)
    with pytest.raises(DamagedStoreError, match=r"own.zarr: rows .* is gone"):
        run(streamed, 1, streamed.steps)


def test_streamed_rows__readers_end_with_them(path: Path) -> None:
    def readers() -> int:
        return sum(thread.name.startswith("mampctl-reader") for thread in threading.enumerate())

    gc.collect()
    streamed = train(clips_of(path, 3, streamed=True))
    streamed.batch(0, 0)
    assert readers() > 0
    del streamed
    gc.collect()
    wait_until(lambda: readers() == 0, "the readers end")


def test_streamed_rows__memory_stays_flat(tmp_path: Path) -> None:
    frames, windows = 4000, 40
    path = write_store(tmp_path / "large.zarr", make_clips([(1, frames)] * windows), shard_rows=frames)
    store = open_store(path)
    table = store_clip_table(store, np.arange(windows))
    streamed = train(Clips(table, StreamedRows(store, table, 1, with_motion=False), 1, CPU), batch_size=1)
    run(streamed, 0, windows // 4)
    before = resident_bytes()
    run(streamed, 0, windows)
    # Besides the two windows, a shard is being read and another one decoded, each of them two or three times over.
    assert resident_bytes() - before < 8 * frames * 25 * 3 * 4


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
