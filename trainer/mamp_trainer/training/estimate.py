"""How long a training will take, from a few microbatches that are timed before its first step.

Timing changes no number of the training: weights stay as they are, running statistics are restored, gradients are set
to zero before each step, and random numbers are functions of the step.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from mamp_schemas.builtin import SMALL_BASE_RECIPE
from mamp_schemas.models.recipe import PretrainRecipe, Recipe
from mamp_schemas.system import choose_threads
from mamp_trainer.data.collate import Batch
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.models.heartbeat import abandonable
from mamp_trainer.recipes import data_options, list_recipes, load_recipe, recipe_names
from mamp_trainer.telemetry.flops import encoder_flops
from mamp_trainer.telemetry.meter import synchronise
from mamp_trainer.training.microbatch import MicrobatchSampler

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 3.0
"""Larger parts of a batch are timed as long as all of it takes less."""

LONG_SECONDS = 3600.0
"""A training on a CPU that takes longer is reported with recipes that take less."""


class Work(NamedTuple):
    """What a training does.

    Attributes:
        steps: optimiser steps that are left.
        epochs: epochs that are left, or begun.
        test_clips: clips that are measured after each epoch.
    """

    steps: int
    epochs: int
    test_clips: int


class PassSeconds(NamedTuple):
    """The seconds that a rank takes for a clip on average.

    Attributes:
        forward: forward pass.
        step: forward and backward pass.
    """

    forward: float
    step: float

    def total(self, work: Work, batch_size: int, world_size: int) -> float:
        """Return the seconds of the work, by the ranks together."""
        clips = work.steps * batch_size * self.step + work.epochs * work.test_clips * self.forward
        return clips / world_size


def time_passes(
    loss: Callable[[Batch], torch.Tensor],
    module: nn.Module,
    microbatches: MicrobatchSampler,
    position: tuple[int, int],
    device: torch.device,
    dist_context: DistContext,
    check_interrupt: Callable[[], None],
    *,
    same_shape: bool,
) -> PassSeconds:
    """Time forward and backward passes over parts of the next batch: of 2 clips, then of twice as many, and so on.

    Args:
        loss: of a batch.
        module: its running statistics are restored.
        microbatches: the batches.
        position: epoch and step of the next batch.
        device: the one that trains.
        dist_context: all ranks time the same parts, as some networks make them wait for each other.
        check_interrupt: called after each pass, finished or abandoned; may raise.
        same_shape: whether only whole microbatches are timed, for compiled networks.
    """
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]
    sizes = [None] * 3 if same_shape else _sizes(microbatches.microbatch_size)
    began, seconds = time.monotonic(), PassSeconds(0.0, 0.0)
    try:
        for size in sizes:
            with abandonable(check_interrupt):
                seconds = _time_pass(loss, microbatches, position, size, device)
            if dist_context.all_reduce_max(int(time.monotonic() - began > BUDGET_SECONDS)):
                break
    finally:
        for buffer, before in kept:
            buffer.copy_(before)
    forward, step = (dist_context.all_reduce_max(int(1e9 * value)) / 1e9 for value in seconds)
    return PassSeconds(forward, step)


def _sizes(largest: int) -> Sequence[int | None]:
    """Return 2 twice, as the first pass of a process takes longer, 4, 8, and so on up to the largest."""
    sizes: list[int] = [min(2, largest)]
    while sizes[-1] < largest:
        sizes.append(min(2 * sizes[-1], largest))
    return [sizes[0], *sizes]


def _time_pass(
    loss: Callable[[Batch], torch.Tensor],
    microbatches: MicrobatchSampler,
    position: tuple[int, int],
    clips: int | None,
    device: torch.device,
) -> PassSeconds:
    batch, mean_clips = microbatches.part(*position, clips)
    synchronise(device)
    began = time.monotonic()
    value = loss(batch)
    synchronise(device)
    forward = time.monotonic() - began
    value.backward()  # type: ignore[no-untyped-call]
    synchronise(device)
    return PassSeconds(forward / mean_clips, (time.monotonic() - began) / mean_clips)


def duration_text(seconds: float) -> str:
    """Return a duration as one says it: 40 s, 12 min, 75 h, 5 days."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (100 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(round(seconds / unit), 1)} {name}"
    return f"{round(seconds / 86400)} days"


def report_time(recipe: Recipe, work: Work, seconds: float, threads: int, *, alternatives: bool) -> None:
    """Say how long a training takes; on a CPU by how many threads, and which recipes fit it if it takes long.

    Args:
        recipe: of the training.
        work: that is left.
        seconds: that it takes.
        threads: of the CPU; 0 on a GPU.
        alternatives: whether another network could be trained instead.
    """
    steps = "1 step" if work.steps == 1 else f"{work.steps:,} steps"
    if not threads:
        logger.info(f"about {duration_text(seconds)} for {steps}")
        return
    by = f"1 thread ({choose_threads().reason})" if threads == 1 else f"{threads} threads ({choose_threads().reason})"
    text = f"about {duration_text(seconds)} for {steps} on this CPU, by {by}"
    if seconds <= LONG_SECONDS:
        logger.info(text)
        return
    names = fitting_recipes(recipe, seconds) if alternatives else []
    logger.warning(f"{text}; recipes that fit it: {', '.join(names)}" if names else text)


def fitting_recipes(recipe: Recipe, seconds: float) -> list[str]:
    """Return built-in recipes of the same dataset and task that take about an hour or less, as `--recipe` takes them.

    By their operations: a small network computes fewer of them a second. Where there is none for the dataset, it is the
    small recipe with changed fields, and so many epochs as fit.

    Args:
        recipe: of the training.
        seconds: that it takes.
    """
    limit = LONG_SECONDS * _work(recipe) / seconds
    fitting = [other for other in list_recipes(recipe.kind) if _work(other) < limit]
    names = [other.name for other in fitting if (other.dataset, _objective(other)) == _data_and_objective(recipe)]
    if names or SMALL_BASE_RECIPE not in recipe_names(recipe.kind):
        return names
    small = load_recipe(recipe.kind, SMALL_BASE_RECIPE)
    most = small.schedule.epochs
    joints = recipe.model.joints
    epochs = min(most, int(most * limit * small.model.joints / (_work(small) * joints)))
    options = data_options(small, dataset=recipe.dataset, protocol=recipe.protocol, joints=joints, epochs=epochs)
    return [" ".join((SMALL_BASE_RECIPE, *options))]


def _work(recipe: Recipe) -> float:
    return recipe.schedule.epochs * encoder_flops(recipe.model, recipe.model.tokens)


def _objective(recipe: Recipe) -> str:
    return recipe.objective if isinstance(recipe, PretrainRecipe) else ""


def _data_and_objective(recipe: Recipe) -> tuple[str, str]:
    return recipe.dataset, _objective(recipe)
