"""Owns what is to be known of a plan before it is run: what is done, what is missing, how long it will take."""

from pathlib import Path
from typing import Literal

import torch

from mamp_schemas.reproduction import Plan, PlannedRun, Preview, PreviewLine
from mamp_trainer.ledger.runs import read_runs
from mamp_trainer.reproduce.estimate import ASSUMED_SHARE, Rates, estimate, measure_rates
from mamp_trainer.reproduce.finished import find_all
from mamp_trainer.reproduce.shelf import Shelf, count_clips
from mamp_trainer.runtime import describe_device


def preview(plan: Plan, wanted: frozenset[str], folder: Path, shelf: Shelf, device: torch.device) -> Preview:
    """Look at a plan.

    Args:
        plan: the plan.
        wanted: the names of the runs that are to be done.
        folder: where runs are.
        shelf: the data.
        device: what would train.
    """
    runs = read_runs([folder])
    done = find_all(plan, runs, folder, shelf)
    rates = measure_rates(runs, shelf, device)
    lines = [_line(run, done, folder, shelf, rates) for run in plan.runs if run.name in wanted]
    left = [run.recipe for run in plan.runs if run.name in wanted and run.name not in done]
    recorded = [line.recorded for line in lines if line.state != "done"]
    return Preview(
        lines=tuple(lines),
        device=describe_device(device),
        basis=_basis(recorded),
        missing=tuple(" ".join(str(problem).split()) for problem in shelf.problems(left)),
    )


def _line(run: PlannedRun, done: dict[str, Path], folder: Path, shelf: Shelf, rates: Rates) -> PreviewLine:
    clips, time = count_clips(run.recipe, shelf), estimate(run, shelf, rates)
    begun: Literal["begun", "to do"] = "begun" if (folder / run.name).exists() else "to do"
    return PreviewLine(
        run=run.name,
        state="done" if run.name in done else begun,
        epochs=run.recipe.schedule.epochs,
        train_clips=clips[0] if clips else None,
        seconds=time.seconds if time else None,
        recorded=time.recorded if time else False,
    )


def _basis(recorded: list[bool]) -> str:
    assumed = f"operations at {ASSUMED_SHARE:.0%} of the device's measured rate, too few seconds for small networks"
    if all(recorded):
        return "by finished runs on this device"
    return f"by finished runs on this device where there are any, else {assumed}" if any(recorded) else assumed
