from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.recipe import SamplingSpec
from mamp_trainer.data import batches
from mamp_trainer.data.batches import Clips, EmptySlot, TrainBatches
from mamp_trainer.data.clips import store_clip_table
from mamp_trainer.data.collate import Batch, find_unique_bodies
from mamp_trainer.data.rows import ResidentRows, RowBuffer
from mamp_trainer.data.streaming import load_all_rows
from tests.trainer.stores import make_clips, write_store

SHAPES = [(1, 80), (2, 130), (1, 70), (2, 64), (1, 200), (2, 90), (1, 1), (1, 66), (2, 100)]
CLIPS = make_clips(SHAPES)
FRAMES, SLOTS = 24, 2
CPU = torch.device("cpu")
LARGEST = max(float(np.abs(clip.joints).max()) for clip in CLIPS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    path = write_store(tmp_path_factory.mktemp("data") / "ntu60.zarr", CLIPS)
    store = open_store(path)
    table = store_clip_table(store, np.arange(len(CLIPS)))
    return Clips(table, load_all_rows(store, table, CPU, with_motion=True), None, CPU)


def held(clips: Clips) -> RowBuffer:
    assert isinstance(clips.rows, ResidentRows)
    return clips.rows.buffer


def train(clips: Clips, batch_size: int = 4, seed: int = 0, empty_slot: EmptySlot = "zeros") -> TrainBatches:
    return TrainBatches(clips, SamplingSpec(), FRAMES, seed, batch_size, SLOTS, empty_slot)


def check(clips: Clips, batch_size: int = 4, empty_slot: EmptySlot = "zeros") -> batches.TestBatches:
    return batches.TestBatches(clips, SamplingSpec(), FRAMES, batch_size, SLOTS, empty_slot)


def parts(batch: Batch) -> list[Tensor]:
    """Everything but the indices of like slots, which follow from `real` and count within a batch."""
    return [getattr(batch, field.name) for field in fields(batch) if field.name != "unique_bodies"]


def assert_same(first: Batch, second: Batch) -> None:
    assert all(torch.equal(a, b) for a, b in zip(parts(first), parts(second), strict=True))


def join(shares: list[Batch]) -> Batch:
    joined = [torch.cat(values) for values in zip(*map(parts, shares), strict=True)]
    return Batch(*joined, unique_bodies=find_unique_bodies(joined[-1], empty_slots_are_copies=False))


def test_train_batches__shapes_and_types(clips: Clips) -> None:
    batch = train(clips).batch(0, 0)
    assert batch.x.shape == (4, SLOTS, FRAMES, 25, 3)
    assert batch.x.dtype == torch.float32
    assert batch.trajectory is not None
    assert batch.trajectory.shape == batch.x.shape
    assert batch.clip.dtype == batch.label.dtype == torch.int64
    assert batch.real.tolist() == [[True, SHAPES[clip][0] == 2] for clip in batch.clip.tolist()]
    assert batch.label.tolist() == [CLIPS[clip].label for clip in batch.clip.tolist()]


def test_train_batches__an_epoch_takes_no_clip_twice(clips: Clips) -> None:
    batches = train(clips)
    taken = [clip for step in range(batches.steps) for clip in batches.batch(3, step).clip.tolist()]
    assert batches.steps == 2
    assert len(set(taken)) == len(taken) == 8


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_train_batches__ranks_make_up_the_same_batch_bit_for_bit(clips: Clips, ranks: int) -> None:
    whole = train(clips).batch(1, 1)
    assert_same(whole, join([train(clips).batch(1, 1, rank, ranks) for rank in range(ranks)]))


def test_train_batches__a_step_does_not_depend_on_those_before(clips: Clips) -> None:
    going = train(clips)
    for step in range(2):
        going.batch(0, step)
    assert_same(going.batch(5, 1), train(clips).batch(5, 1))


def test_train_batches__samples_do_not_depend_on_the_batch_size(clips: Clips) -> None:
    large, small = train(clips, batch_size=9).batch(0, 0), train(clips, batch_size=1)
    assert_same(large, join([small.batch(0, step) for step in range(9)]))


def test_train_batches__epochs_and_seeds_differ(clips: Clips) -> None:
    base = train(clips, batch_size=9).batch(0, 0)
    for other in (train(clips, batch_size=9).batch(1, 0), train(clips, batch_size=9, seed=1).batch(0, 0)):
        assert not torch.equal(base.clip, other.clip)
        assert not torch.equal(base.x[base.clip.argsort()], other.x[other.clip.argsort()])


def test_train_batches__a_rank_without_clips_gets_an_empty_batch(clips: Clips) -> None:
    assert train(clips, batch_size=1).batch(0, 0, rank=0, world_size=2).x.shape == (0, SLOTS, FRAMES, 25, 3)


def test_train_batches__an_empty_slot_is_zeros(clips: Clips) -> None:
    batch = train(clips, batch_size=9).batch(0, 0)
    assert batch.trajectory is not None
    assert not batch.x[~batch.real].any()
    assert not batch.trajectory[~batch.real].any()
    assert batch.x[batch.real].flatten(1).any(dim=1).all()


def test_train_batches__an_empty_slot_is_a_copy_of_the_first_body(clips: Clips) -> None:
    batch = train(clips, batch_size=9, empty_slot="copy").batch(0, 0)
    assert batch.trajectory is not None
    single = ~batch.real[:, 1]
    assert torch.equal(batch.x[single, 1], batch.x[single, 0])
    assert torch.equal(batch.trajectory[single, 1], batch.trajectory[single, 0])
    assert not torch.equal(batch.x[~single, 1], batch.x[~single, 0])


def test_train_batches__both_bodies_turn_alike(clips: Clips) -> None:
    batch = train(clips, batch_size=9).batch(0, 0)
    still = TrainBatches(clips, SamplingSpec(rotation=0.0), FRAMES, 0, 9, SLOTS, "zeros").batch(0, 0)
    two = batch.real[:, 1]
    angle = (batch.x[two, 0] * batch.x[two, 1]).sum(-1)
    expected = (still.x[two, 0] * still.x[two, 1]).sum(-1)
    # Lengths and angles survive a common rotation: 3 products of coordinates rounded some 16 times over.
    assert float((angle - expected).abs().max()) <= 16 * 3 * 2**-24 * 3 * LARGEST**2
    assert float((batch.x[two] - still.x[two]).abs().max()) > 0.01


@pytest.mark.parametrize("empty_slot", ["zeros", "copy"])
def test_train_batches__stored_motion_equals_online(clips: Clips, empty_slot: EmptySlot) -> None:
    batch = train(clips, batch_size=9, empty_slot=empty_slot).batch(0, 0)
    assert batch.trajectory is not None
    online, stored = batch.x.diff(dim=2), batch.trajectory.diff(dim=2)
    # In units of 2^-24 times the largest joint B, where |x| <= B and |trajectory| <= 2B: a sample point is rounded
    # 4 times in interpolating and 5 in rotating a vector of length up to sqrt(3) times its coordinates, the
    # trajectory once more in storing: (4 + 9) + (5 · 2 + 9 · 2) = 41; two points make 82. A step of at most
    # 200 / 24 < 9 frames holds 10 stored differences, rounded once at up to 2B: 20. Subtracting: 2 + 4.
    assert float((online - stored).abs().max()) <= (82 + 20 + 6) * 2**-24 * LARGEST
    assert float(online.abs().max()) > 1


def test_train_batches__without_stored_motion_have_no_trajectory(clips: Clips) -> None:
    without = replace(clips, rows=ResidentRows(replace(held(clips), trajectory=None)))
    assert train(without).batch(0, 0).trajectory is None


def test_train_batches__crop_the_valid_prefix(clips: Clips) -> None:
    rows, table = replace(held(clips), joints=held(clips).joints.clone()), clips.table
    first = rows.offset[table.shard] + table.packed_row
    for place, frames, bodies in zip(first, table.frames, table.bodies, strict=True):
        for body in range(int(bodies)):
            rows.joints[place + body * frames + 50 : place + (body + 1) * frames] = torch.nan
    short = replace(table, valid_frames=table.valid_frames.clamp(max=50))
    marked = replace(clips, table=short, rows=ResidentRows(rows))
    for epoch in range(20):
        assert torch.isfinite(train(marked, batch_size=9).batch(epoch, 0).x).all()


def test_test_batches__every_clip_once_in_order(clips: Clips) -> None:
    batches = check(clips)
    assert batches.steps == 3
    assert torch.cat([batches.batch(step).clip for step in range(3)]).tolist() == list(range(9))


def test_test_batches__ranks_share_out_every_batch(clips: Clips) -> None:
    assert_same(check(clips).batch(2), join([check(clips).batch(2, rank, 3) for rank in range(3)]))
    assert_same(check(clips).batch(0), join([check(clips).batch(0, rank, 3) for rank in range(3)]))


def test_test_batches__crop_the_middle_and_do_not_turn(clips: Clips) -> None:
    found = check(clips).batch(1).x[0]
    # 10 % of 200 frames is 20, yet (1 - 0.9) · 200 / 2 in float64 lies just below 10.
    body = torch.from_numpy(CLIPS[4].joints[0])[9:191]
    expected = interpolate(body.flatten(1).T[None], size=FRAMES, mode="linear", align_corners=False)[0].T
    # A source coordinate up to 182 is off by some 2^-24 of it, and joints differ by up to 2·max a frame.
    assert float((found[0].flatten(1) - expected).abs().max()) <= (2 * 182 + 4) * 2**-24 * 2 * LARGEST
    assert not found[1].any()
