"""Several ranks, or parts of a batch, train as one does: in float64, to within 1e-10."""

import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mamp_schemas.errors import Interrupted
from mamp_schemas.models.recipe import EvaluationRecipe, ScheduleSpec
from mamp_trainer.distributed.context import DistContext
from tests.trainer.rank_threads import StopAfter, classify_in_double, pretrain_in_double, together
from tests.trainer.runs import finetune_recipe, linear_recipe, pretrain_recipe, read_metrics, write_toy_store

TOLERANCE = 1e-10
BATCH = 5
"""26 clips make 5 steps an epoch; two ranks take 2 and 3 of a batch's clips."""
SCHEDULE = ScheduleSpec(epochs=4, warmup_epochs=1, lr=0.01, final_lr=0.001)
STEPS = 20
RECIPE = pretrain_recipe(batch_size=BATCH, schedule=SCHEDULE)
PROBE = linear_recipe(batch_size=BATCH, schedule=ScheduleSpec(epochs=4, lr=0.1))
FINETUNING = finetune_recipe(batch_size=BATCH, schedule=SCHEDULE)


IDLE = {"head.fc1.bias", "head.bn.running_mean"}
"""Batch normalisation takes away the bias before it, whose gradient is rounding, blown up by AdamW, and no more."""


def without_idle(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if name not in IDLE}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def alone(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return pretrain_in_double(RECIPE, store, tmp_path_factory.mktemp("alone") / "run")


def test_pretrain__two_ranks_equal_one(store: Path, alone: dict[str, Tensor], tmp_path: Path) -> None:
    ranks = together(2, lambda ranks: pretrain_in_double(RECIPE, store, tmp_path / "run", ranks))
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in alone)
    assert distance(ranks[0], alone) < TOLERANCE
    assert read_metrics(tmp_path / "run")[-1]["step"] == STEPS


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_pretrain__parts_of_a_batch_equal_the_whole(
    store: Path, alone: dict[str, Tensor], tmp_path: Path, micro_batch: int
) -> None:
    recipe = RECIPE.replaced(micro_batch=micro_batch)
    assert distance(pretrain_in_double(recipe, store, tmp_path / "run"), alone) < TOLERANCE


def test_pretrain__parts_on_two_ranks_equal_the_whole_on_one(
    store: Path, alone: dict[str, Tensor], tmp_path: Path
) -> None:
    recipe = RECIPE.replaced(micro_batch=1)
    ranks = together(2, lambda ranks: pretrain_in_double(recipe, store, tmp_path / "run", ranks))
    assert distance(ranks[1], alone) < TOLERANCE


def test_pretrain__without_empty_bodies_parts_on_two_ranks_equal_the_whole_on_one(store: Path, tmp_path: Path) -> None:
    recipe = RECIPE.replaced(empty_bodies="skip")
    expected = pretrain_in_double(recipe, store, tmp_path / "alone")
    parts = recipe.replaced(micro_batch=2)
    ranks = together(2, lambda ranks: pretrain_in_double(parts, store, tmp_path / "run", ranks))
    assert distance(ranks[0], expected) < TOLERANCE


def test_pretrain__begun_on_two_ranks_goes_on_alone(store: Path, alone: dict[str, Tensor], tmp_path: Path) -> None:
    def stopped(ranks: DistContext) -> None:
        with pytest.raises(Interrupted):
            pretrain_in_double(RECIPE, store, tmp_path / "run", ranks, progress=StopAfter(8, signal.SIGTERM))

    together(2, stopped)
    assert distance(pretrain_in_double(RECIPE, store, tmp_path / "run", resume=True), alone) < TOLERANCE


def test_linear__two_ranks_equal_one(store: Path, tmp_path: Path) -> None:
    assert_alike(PROBE, store, tmp_path)


def test_finetune__two_ranks_equal_one(store: Path, tmp_path: Path) -> None:
    """Gradients pass through the statistics that the head takes over both ranks' clips."""
    assert_alike(FINETUNING, store, tmp_path)


def assert_alike(recipe: EvaluationRecipe, store: Path, folder: Path) -> None:
    expected, measured = classify_in_double(recipe, store, folder / "alone")
    ranks = together(2, lambda ranks: classify_in_double(recipe, store, folder / "run", ranks))
    assert distance(*(without_idle(weights) for weights in (ranks[0][0], expected))) < TOLERANCE
    found = [{name: epoch[name] for name in ("test_top1", "test_top5")} for epoch in ranks[1][1].history]
    assert found == [{name: epoch[name] for name in ("test_top1", "test_top5")} for epoch in measured.history]
