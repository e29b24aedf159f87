"""What is done of a plan, what is missing, and how long it will take."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import torch

from mamp_schemas.errors import MampctlError
from mamp_schemas.io.run_files import Run, read_run_progress, read_runs
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.recipe import PretrainRecipe, Recipe
from mamp_schemas.models.reproduction import DryRun, DryRunLine, PlannedRun, ReproductionPlan, Scale
from mamp_schemas.registry import DATASETS, PROTOCOLS
from mamp_trainer.objectives.pretrain import make_objective
from mamp_trainer.reproduce.catalog import DataCatalog, count_clips
from mamp_trainer.reproduce.match_runs import match_all_runs
from mamp_trainer.runs.index import read_recipe
from mamp_trainer.telemetry.flops import encoder_flops
from mamp_trainer.telemetry.meter import device_peak_flops
from mamp_trainer.training.runtime import describe_device

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
    spec = DATASETS.options(recipe.dataset)
    slots = spec.bodies if isinstance(spec, DatasetSpec) else 2
    if isinstance(recipe, PretrainRecipe):
        return recipe.schedule.epochs * train * slots * make_objective(recipe).flops()
    tested = test * slots * encoder_flops(recipe.model, recipe.model.tokens)
    trained = train * PROTOCOLS.get(recipe.kind).flops(recipe, slots)
    return float(recipe.schedule.epochs * (trained + tested))


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


def dry_run(
    plan: ReproductionPlan, wanted: frozenset[str], folder: Path, shelf: DataCatalog, device: torch.device
) -> DryRun:
    """Look at a plan.

    Args:
        plan: the plan.
        wanted: the names of the runs that are to be done.
        folder: where runs are.
        shelf: the data.
        device: what would train.
    """
    runs = read_runs([folder])
    done = match_all_runs(plan, runs, folder, shelf)
    rates = measure_rates(runs, shelf, device)
    lines = [_preview_line(run, done, folder, shelf, rates) for run in plan.runs if run.name in wanted]
    left = [run.recipe for run in plan.runs if run.name in wanted and run.name not in done]
    unmade = [recipe for recipe in left if shelf.lacks_manifest(recipe)]
    recorded = [line.recorded for line in lines if line.state != "done"]
    return DryRun(
        lines=tuple(lines),
        device=describe_device(device),
        basis=_describe_basis(recorded, plan.scale),
        manifests=len({(recipe.dataset, recipe.protocol, str(recipe.training_subset)) for recipe in unmade}),
        missing=tuple(shelf.problems(recipe for recipe in left if recipe not in unmade)),
    )


def _preview_line(run: PlannedRun, done: dict[str, Path], folder: Path, shelf: DataCatalog, rates: Rates) -> DryRunLine:
    clips, time = count_clips(run.recipe, shelf), estimate(run, shelf, rates)
    own, epochs = folder / run.name, run.recipe.schedule.epochs
    reached = read_run_progress(own) if run.name not in done else None
    begun: Literal["begun", "to do"] = "to do" if reached is None else "begun"
    left = 1 if reached is None else 1 - (reached.epoch - 1) / epochs
    return DryRunLine(
        run=run.name,
        state="done" if run.name in done else begun,
        epochs=epochs,
        train_clips=clips[0] if clips else None,
        seconds=0.0 if run.name in done else time.seconds * left if time else None,
        recorded=time.recorded if time else False,
    )


def _describe_basis(recorded: list[bool], scale: Scale) -> str:
    if all(recorded):
        return "by finished runs on this device"
    slower = ", which small networks do not come to" if scale == "small" else ""
    assumed = f"by operations, at {ASSUMED_SHARE:.0%} of the rate of large matrix products measured now{slower}"
    return f"by finished runs on this device where there are any, else {assumed}" if any(recorded) else assumed
