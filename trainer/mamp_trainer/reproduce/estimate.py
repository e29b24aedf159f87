"""Owns how long runs will take: by what finished ones took on the same device, else by their operations alone."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple

import torch

from mamp_schemas.datasets import DATASETS
from mamp_schemas.errors import MampctlError
from mamp_schemas.recipes import PretrainRecipe, Recipe
from mamp_schemas.reproduction import PlannedRun
from mamp_trainer.ledger.lines import read_recipe
from mamp_trainer.ledger.runs import Run
from mamp_trainer.reproduce.shelf import DataCatalog, count_clips
from mamp_trainer.runtime import describe_device
from mamp_trainer.watch.flops import encoder_flops, loss_term_flops
from mamp_trainer.watch.peak import device_peak_flops

ASSUMED_SHARE = 0.3
"""Of the rate of large matrix products, where no finished run says more: 0.5 was measured of full size on a CPU
(docs/performance.md), less is usual of small networks."""


class Estimate(NamedTuple):
    """Seconds that a run will take, and whether finished runs say so."""

    seconds: float
    recorded: bool


class Rates(NamedTuple):
    """Floating-point operations a second: of finished runs by task and network, and what is assumed without any."""

    recorded: Mapping[tuple[object, ...], float]
    assumed: float


def count_operations(recipe: Recipe, train: int, test: int) -> float:
    """Return the operations of a run, the accuracy after every epoch included."""
    slots = 2 if recipe.dataset == "custom" else DATASETS[recipe.dataset].bodies
    if isinstance(recipe, PretrainRecipe):
        return recipe.schedule.epochs * train * slots * loss_term_flops(recipe, slots)
    tested = test * slots * encoder_flops(recipe.model, recipe.model.tokens)
    return recipe.schedule.epochs * (train * loss_term_flops(recipe, slots) + tested)


def measure_rates(runs: Iterable[Run], shelf: DataCatalog, device: torch.device) -> Rates:
    """Return at which rates runs were trained on a device of this name, on the data that is here now."""
    found: dict[tuple[object, ...], list[float]] = {}
    for run in runs:
        if run.record is None or run.record.device != describe_device(device) or not run.record.result.seconds:
            continue
        try:
            recipe = read_recipe(run.folder)
            split = shelf.split(recipe)
        except MampctlError:
            continue
        if split.store_hash == run.record.store_hash:
            operations = count_operations(recipe, split.counts.train, split.counts.test)
            found.setdefault(_rate_key(recipe), []).append(operations / run.record.result.seconds)
    rates = {kind: median(each) for kind, each in found.items()}
    return Rates(rates, ASSUMED_SHARE * device_peak_flops(device))


def estimate(planned: PlannedRun, shelf: DataCatalog, rates: Rates) -> Estimate | None:
    """Return how long a run will take; None where nobody knows how many clips there are."""
    clips = count_clips(planned.recipe, shelf)
    if clips is None:
        return None
    rate = rates.recorded.get(_rate_key(planned.recipe))
    return Estimate(count_operations(planned.recipe, *clips) / (rate or rates.assumed), rate is not None)


def _rate_key(recipe: Recipe) -> tuple[object, ...]:
    """Return what runs of one rate have in common: how they are trained, and how large their network is."""
    model = recipe.model
    return recipe.kind, model.width, model.depth, model.tokens, recipe.precision, recipe.compile
