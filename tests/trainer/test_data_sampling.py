import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_schemas.io.store_reader import open_store
from mamp_trainer.data.clips import ClipTable, store_clip_table
from mamp_trainer.data.sampling import ClipOrder, batch_positions, epoch_order, steps_per_epoch, store_order
from tests.trainer.stores import SHARD_ROWS, make_clips, write_store

CLIPS = 60


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ClipTable:
    """20 shards with three clips each."""
    shapes = [(1, 10), (1, 10), (1, SHARD_ROWS - 20)] * (CLIPS // 3)
    store = open_store(write_store(tmp_path_factory.mktemp("data") / "ntu60.zarr", make_clips(shapes)))
    return store_clip_table(store, np.arange(CLIPS))


windows = st.none() | st.integers(1, 30)


@given(st.integers(0, 2**63), st.integers(0, 1000), windows)
def test_epoch_order__is_a_permutation(table: ClipTable, seed: int, epoch: int, window: int | None) -> None:
    assert epoch_order(seed, epoch, table, window).clip.sort().values.tolist() == list(range(CLIPS))


@pytest.mark.parametrize("window", [None, 4])
def test_epoch_order__changes_with_seed_and_epoch_only(table: ClipTable, window: int | None) -> None:
    base = epoch_order(0, 0, table, window).clip
    assert torch.equal(base, epoch_order(0, 0, table, window).clip)
    assert not torch.equal(base, epoch_order(0, 1, table, window).clip)
    assert not torch.equal(base, epoch_order(1, 0, table, window).clip)
    assert not torch.equal(base, torch.arange(CLIPS))


@pytest.mark.parametrize("window", [None, 4])
def test_epoch_order__every_clip_comes_anywhere(table: ClipTable, window: int | None) -> None:
    places = torch.stack([epoch_order(0, epoch, table, window).clip.argsort() for epoch in range(600)])
    counts = torch.stack([torch.bincount(column, minlength=CLIPS) for column in places.T]).double()
    chi_square = float(((counts - 10) ** 2 / 10).sum())
    degrees = (CLIPS - 1) ** 2
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5


@given(st.integers(0, 1000), windows)
def test_epoch_order__windows_divide_it_by_shards(table: ClipTable, epoch: int, window: int | None) -> None:
    order = epoch_order(0, epoch, table, window)
    assert torch.cat([part.shards for part in order.windows]).sort().values.tolist() == list(range(20))
    assert [part.start for part in order.windows] == [0, *(part.stop for part in order.windows[:-1])]
    for part in order.windows:
        assert part.shards.numel() <= (window or 20)
        clips = order.clip[part.start : part.stop]
        assert set(table.shard[clips].tolist()) == set(part.shards.tolist())


def test_epoch_order__a_window_of_all_shards_is_the_full_shuffle(table: ClipTable) -> None:
    full = epoch_order(3, 5, table, None).clip
    assert torch.equal(epoch_order(3, 5, table, 20).clip, full)
    assert not torch.equal(epoch_order(3, 5, table, 19).clip, full)


@pytest.mark.parametrize("window", [None, 1, 3])
def test_store_order__is_by_index(table: ClipTable, window: int | None) -> None:
    assert torch.equal(store_order(table, window).clip, torch.arange(CLIPS))


@given(st.integers(0, CLIPS), st.integers(0, CLIPS), windows)
def test_window_parts__cover_a_share_once(table: ClipTable, a: int, b: int, window: int | None) -> None:
    order, (start, stop) = epoch_order(0, 0, table, window), sorted((a, b))
    parts = list(order.window_parts(slice(start, stop)))
    assert [place for _, part in parts for place in range(part.start, part.stop)] == list(range(start, stop))
    assert parts
    if start < stop:
        assert all(inside(order, number, part) for number, part in parts)


def inside(order: ClipOrder, number: int, part: slice) -> bool:
    window = order.windows[number]
    return bool(window.start <= part.start < part.stop <= window.stop)


@pytest.mark.parametrize(("clips", "batch_size", "steps"), [(10, 4, 2), (8, 4, 2), (4, 4, 1), (3, 4, 1), (1, 128, 1)])
def test_steps_per_epoch__drops_the_last_incomplete_batch(clips: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(clips, batch_size) == steps


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 6))
def test_batch_positions__ranks_share_out_every_clip_in_order(clips: int, batch_size: int, ranks: int) -> None:
    steps = -(-clips // batch_size)
    order = list(range(clips))
    shares = [
        order[batch_positions(step, batch_size, clips, rank, ranks)] for step in range(steps) for rank in range(ranks)
    ]
    assert [clip for share in shares for clip in share] == order


@given(st.integers(0, 5), st.integers(1, 20), st.integers(1, 6))
def test_batch_positions__shares_differ_by_one_at_most(step: int, batch_size: int, ranks: int) -> None:
    shares = [batch_positions(step, batch_size, 1000, rank, ranks) for rank in range(ranks)]
    sizes = [share.stop - share.start for share in shares]
    assert sum(sizes) == batch_size
    assert max(sizes) - min(sizes) <= 1


def test_batch_positions__fewer_clips_than_a_batch_are_one_batch() -> None:
    assert batch_positions(0, 128, 5) == slice(0, 5)
