"""An objective of another distribution: a teacher that follows, state of its own, named parts of the loss."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from mamp_schemas.models.recipe import ModelSpec, PretrainRecipe, parse_recipe
from mamp_schemas.registry import OBJECTIVES
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.objectives.base import Batch, Draws, Loss, Objective
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.rank_threads import pretrain_in_double, together
from tests.trainer.runs import (
    MODEL,
    SignalAfter,
    assert_same_run,
    evaluate_encoder,
    last_checkpoint,
    linear_recipe,
    pretrain_recipe,
    write_toy_store,
)


class FollowRecipe(PretrainRecipe):
    objective: Literal["follow"] = "follow"
    momentum: float = Field(default=0.9, ge=0, le=1)


class Pair(nn.Module):
    """An encoder and the moving average of its weights."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.encoder = Encoder(spec)
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)


class FollowObjective(Objective[FollowRecipe]):
    options = FollowRecipe
    summary = "The encoder of noisy clips predicts the features that its moving average has of the clean ones."
    encoder_prefix = "teacher."

    def __init__(self, recipe: FollowRecipe) -> None:
        super().__init__(recipe)
        self.moved = torch.zeros(2, dtype=torch.float64)

    def build(self) -> Pair:
        return Pair(self.recipe.model)

    def loss(self, module: nn.Module, batch: Batch, draws: Draws) -> Loss:
        x = batch.x.flatten(0, 1)
        noise = draws.uniform("noise", batch.x[0].numel()).view(x.shape) - 0.5
        features, target = module.encoder(x + 0.1 * noise), module.teacher(x)
        distance = (features - target).square().mean()
        return Loss(distance + features.square().mean(), {"distance": distance})

    @torch.no_grad()
    def after_step(self, module: nn.Module, step: int, steps: int) -> None:
        for teacher, student in zip(module.teacher.parameters(), module.encoder.parameters(), strict=True):
            teacher.lerp_(student, 1 - self.recipe.momentum)
        self.moved += torch.tensor([1.0, step / steps])

    def state_dict(self) -> dict[str, Any]:
        return {"moved": self.moved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.moved = state["moved"]


OBJECTIVES.register("follow", f"{__name__}:FollowObjective")


def follow_recipe(**changes: Any) -> FollowRecipe:
    shared = pretrain_recipe().model_dump(exclude={"masking", "target", "motion_source", "empty_bodies", "objective"})
    return FollowRecipe.model_validate({**shared, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


def test_parse_recipe__of_an_objective_that_carries_its_options() -> None:
    recipe = follow_recipe(momentum=0.5)
    assert parse_recipe(recipe.model_dump(mode="json"), "again") == recipe


def test_pretrain__the_teacher_follows_and_is_what_evaluations_load(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    pretrain(follow_recipe(), store, RunContext(run, device="cpu"))
    weights = last_checkpoint(run).weights
    teacher = {name.removeprefix("teacher."): tensor for name, tensor in weights.items() if name.startswith("teacher.")}
    assert not torch.equal(teacher["norm.weight"], weights["encoder.norm.weight"])
    loaded = load_encoder(run, MODEL)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in teacher.items())
    evaluate_encoder(linear_recipe(), store, tmp_path / "probe", encoder_from=run, device="cpu")


def test_pretrain__metrics_have_the_parts_of_the_loss(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    pretrain(follow_recipe(), store, RunContext(run, device="cpu"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["event"] for line in lines if line["loss_distance"] < line["loss"]} == {"train", "epoch"}


def test_pretrain__resumed_has_the_same_teacher_and_state(store: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain(follow_recipe(), store, RunContext(whole, device="cpu"))
    with pytest.raises(KeyboardInterrupt):
        pretrain(follow_recipe(), store, RunContext(parts, device="cpu", progress=SignalAfter(20)))
    pretrain(follow_recipe(), store, RunContext(parts, resume=True, device="cpu"))
    assert_same_run(whole, parts)
    states = [last_checkpoint(run).state["objective"]["moved"] for run in (whole, parts)]
    assert torch.equal(*states)
    assert states[0][0] == 39


def test_pretrain__two_ranks_equal_one(store: Path, tmp_path: Path) -> None:
    recipe = follow_recipe(batch_size=4)
    alone = pretrain_in_double(recipe, store, tmp_path / "one")
    first, second = together(2, lambda ranks: pretrain_in_double(recipe, store, tmp_path / "two", ranks))
    for name, tensor in alone.items():
        torch.testing.assert_close(first[name], tensor, rtol=1e-9, atol=1e-12)
        assert torch.equal(first[name], second[name])


def test_uniform__named_streams_meet_no_other(store: Path) -> None:
    clip = torch.arange(4)
    draws: list[Tensor] = [
        Draws(0, 0, clip, space).uniform(stream, 8)
        for space, stream in (("a", "mask"), ("a", "noise"), ("b", "mask"), ("a", 3), ("b", 3))
    ]
    assert torch.equal(draws[3], draws[4])
    assert all(not torch.equal(one, two) for at, one in enumerate(draws[:4]) for two in draws[:at])
