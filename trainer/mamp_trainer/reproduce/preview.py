"""Owns what is to be known of a plan before it is run: what is done, what is missing, how long it will take."""

from pathlib import Path
from typing import Literal

import torch

from mamp_schemas.reproduction import ReproductionPlan, PlannedRun, DryRun, DryRunLine, Scale
from mamp_trainer.ledger.files import read_run_progress
from mamp_trainer.ledger.runs import read_runs
from mamp_trainer.reproduce.estimate import ASSUMED_SHARE, Rates, estimate, measure_rates
from mamp_trainer.reproduce.finished import match_all_runs
from mamp_trainer.reproduce.shelf import DataCatalog, count_clips, subset_of
from mamp_trainer.runtime import describe_device


def dry_run(plan: ReproductionPlan, wanted: frozenset[str], folder: Path, shelf: DataCatalog, device: torch.device) -> DryRun:
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
        manifests=len({(recipe.dataset, recipe.protocol, str(subset_of(recipe))) for recipe in unmade}),
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
