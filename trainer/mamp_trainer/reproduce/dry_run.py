"""A plan before it is run: which runs are finished, what is missing, and how long the rest will take."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import torch

from mamp_schemas.errors import MampctlError
from mamp_schemas.io.run_files import Run, read_run_progress, read_runs
from mamp_schemas.models.dataset import fixed_spec
from mamp_schemas.models.recipe import PretrainRecipe, Recipe
from mamp_schemas.models.reproduction import DryRun, DryRunLine, PlannedRun, ReproductionPlan, Scale
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.objectives.pretrain import make_objective
from mamp_trainer.reproduce.catalog import DataCatalog, count_clips
from mamp_trainer.reproduce.execute import match_all_runs
from mamp_trainer.runs.index import read_recipe
from mamp_trainer.telemetry.flops import encoder_flops
from mamp_trainer.telemetry.meter import device_peak_flops
from mamp_trainer.training.runtime import describe_device

ASSUMED_SHARE = 0.3
"""Assumed share of the rate of large matrix products, where no finished run tells the rate. 0.5 was measured for the
full-size network on a CPU (docs/performance.md); small networks reach less."""


class Estimate(NamedTuple):
    """Seconds that a run will take, and whether they are derived from finished runs."""

    seconds: float
    recorded: bool


class Rates(NamedTuple):
    """Floating-point operations a second: of finished runs by task and network, and the assumed rate without any."""

    recorded: Mapping[tuple[object, ...], float]
    assumed: float


def count_operations(recipe: Recipe, train: int, test: int) -> float:
    """Return the operations of a run, including the test after every epoch."""
    spec = fixed_spec(recipe.dataset)
    slots = spec.bodies if spec else 2
    if isinstance(recipe, PretrainRecipe):
        return recipe.schedule.epochs * train * slots * make_objective(recipe).flops()
    tested = test * slots * encoder_flops(recipe.model, recipe.model.tokens)
    trained = train * PROTOCOLS.get(recipe.kind).flops(recipe, slots)
    return float(recipe.schedule.epochs * (trained + tested))


def measure_rates(runs: Iterable[Run], catalog: DataCatalog, device: torch.device) -> Rates:
    """Return the rates of finished runs on a device of the same name and on the stores of the catalog."""
    samples: dict[tuple[object, ...], list[float]] = {}
    for run in runs:
        if run.record is None or run.record.device != describe_device(device) or not run.record.result.seconds:
            continue
        try:
            recipe = read_recipe(run.folder)
            split = catalog.split(recipe)
        except MampctlError:
            continue
        if split.store_hash == run.record.store_hash:
            operations = count_operations(recipe, split.counts.train, split.counts.test)
            samples.setdefault(_rate_key(recipe), []).append(operations / run.record.result.seconds)
    recorded = {key: median(rates) for key, rates in samples.items()}
    return Rates(recorded, ASSUMED_SHARE * device_peak_flops(device))


def estimate(planned: PlannedRun, catalog: DataCatalog, rates: Rates) -> Estimate | None:
    """Return how long a run will take; None where the number of clips is unknown."""
    clips = count_clips(planned.recipe, catalog)
    if clips is None:
        return None
    rate = rates.recorded.get(_rate_key(planned.recipe))
    return Estimate(count_operations(planned.recipe, *clips) / (rate or rates.assumed), rate is not None)


def _rate_key(recipe: Recipe) -> tuple[object, ...]:
    """Return what runs of equal rate have in common: task, size of the network, precision, compilation."""
    model = recipe.model
    return recipe.kind, model.width, model.depth, model.tokens, recipe.precision, recipe.compile


def dry_run(
    plan: ReproductionPlan, wanted: frozenset[str], folder: Path, catalog: DataCatalog, device: torch.device
) -> DryRun:
    """Return a plan's runs with their states and estimated times, without running anything.

    Args:
        plan: the plan.
        wanted: the names of the runs that are to be trained.
        folder: the folder that holds the runs.
        catalog: the data.
        device: the device that would train.
    """
    runs = read_runs([folder])
    done = match_all_runs(plan, runs, folder, catalog)
    rates = measure_rates(runs, catalog, device)
    lines = [_dry_run_line(run, done, folder, catalog, rates) for run in plan.runs if run.name in wanted]
    left = [run.recipe for run in plan.runs if run.name in wanted and run.name not in done]
    unmade = [recipe for recipe in left if catalog.lacks_manifest(recipe)]
    recorded = [line.recorded for line in lines if line.state != "done"]
    return DryRun(
        lines=tuple(lines),
        device=describe_device(device),
        basis=_describe_basis(recorded, plan.scale),
        manifests=len({(recipe.dataset, recipe.protocol, str(recipe.training_subset)) for recipe in unmade}),
        missing=tuple(catalog.problems(recipe for recipe in left if recipe not in unmade)),
    )


def _dry_run_line(
    run: PlannedRun, done: dict[str, Path], folder: Path, catalog: DataCatalog, rates: Rates
) -> DryRunLine:
    clips, time = count_clips(run.recipe, catalog), estimate(run, catalog, rates)
    epochs = run.recipe.schedule.epochs
    reached = read_run_progress(folder / run.name) if run.name not in done else None
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
