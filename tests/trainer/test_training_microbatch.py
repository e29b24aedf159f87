from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_schemas.errors import RecipeError
from mamp_trainer.data.batches import TrainBatches
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.training.microbatch import MicrobatchSampler
from tests.trainer.runs import open_source, pretrain_recipe, write_toy_store

CLIPS = 26


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


def batches(store: Path, batch_size: int, by_bodies: bool = False) -> TrainBatches:
    source = open_source(store, pretrain_recipe(batch_size=batch_size))
    clips = source.load("train")
    return source.train_batches(clips, clips.table.bodies if by_bodies else None)


@pytest.fixture(scope="module")
def by_size(store: Path) -> dict[int, TrainBatches]:
    return {size: batches(store, size, by_bodies=True) for size in (5, 8, 26)}


@given(st.sampled_from((5, 8, 26)), st.integers(1, 5), st.none() | st.integers(1, 9), st.integers(0, 2))
def test_microbatches__make_up_the_batch_and_its_loss(
    by_size: dict[int, TrainBatches], size: int, ranks: int, micro_batch: int | None, epoch: int
) -> None:
    whole = by_size[size].batch(epoch, 0)
    parts = [
        part
        for rank in range(ranks)
        for part in MicrobatchSampler(by_size[size], DistContext(rank, ranks), micro_batch).microbatches(epoch, 0)
    ]
    assert torch.equal(torch.cat([part.batch.clip for part in parts]), whole.clip)
    assert all(0 < len(part.batch.clip) <= (micro_batch or size) for part in parts)
    # A loss with a term for each real body: the means of the parts, weighted, give the mean of the whole.
    means = [part.weight * float(part.batch.x[part.batch.real].double().mean()) for part in parts]
    assert sum(means) == pytest.approx(float(whole.x[whole.real].double().mean()), rel=1e-12)


def test_microbatches__without_a_limit_are_one(store: Path) -> None:
    (part,) = MicrobatchSampler(batches(store, 8)).microbatches(0, 0)
    assert part.weight == 1.0


def test_num_loss_terms__one_a_clip_by_default(store: Path) -> None:
    assert MicrobatchSampler(batches(store, 8)).num_loss_terms(0, 0) == 8


def test_clip_ids__are_those_of_the_whole_batch(store: Path) -> None:
    made = batches(store, 8)
    ids = [f"clip{number:03d}" for number in range(CLIPS)]
    named = MicrobatchSampler(made, DistContext(1, 2), ids=ids).clip_ids(1, 2)
    assert named == [ids[clip] for clip in made.batch(1, 2).clip.tolist()]


@pytest.mark.parametrize("size", [3, 100])
def test_microbatch_sampler__fewer_clips_than_ranks_are_refused(store: Path, size: int) -> None:
    with pytest.raises(RecipeError, match=f"a batch of {min(size, CLIPS)} clips cannot be divided among 27 ranks"):
        MicrobatchSampler(batches(store, size), DistContext(0, 27))
