"""Owns what runs have come to, put beside the published table: pure but for reading records and metrics."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mamp_schemas.errors import MampctlError, RecordError
from mamp_schemas.recipes import Recipe
from mamp_schemas.reproduction import (
    LossCurve,
    TableMetric,
    ObtainedCell,
    ObtainedRun,
    ObtainedTable,
    ReproductionPlan,
    PlannedCell,
    PlannedTable,
)
from mamp_schemas.results import PretrainResult, Spread
from mamp_trainer.ledger.files import METRICS_FILE, read_record
from mamp_trainer.reproduce.execute import Outcome
from mamp_trainer.reproduce.notes import list_notes
from mamp_trainer.reproduce.shelf import DataCatalog, SplitInfo


def collect(plan: ReproductionPlan, outcome: Outcome, shelf: DataCatalog, tables_folder: Path) -> list[ObtainedTable]:
    """Return a plan's tables as far as they have come.

    Args:
        plan: the tables.
        outcome: the runs that are done, and what stands in the way of others.
        shelf: the data.
        beside: the folder that the tables are written to, which paths of runs start from.

    Raises:
        RecordError: a run's record cannot be read.
    """
    return [_collect_table(planned, plan, outcome, shelf, tables_folder) for planned in plan.tables]


def _collect_table(planned: PlannedTable, plan: ReproductionPlan, outcome: Outcome, shelf: DataCatalog, beside: Path) -> ObtainedTable:
    recipes = {run.name: run.recipe for run in plan.runs}
    parents = {run.name: run.parent for run in plan.runs}
    names = dict.fromkeys(name for cell in planned.cells for name in cell.runs)
    used = dict.fromkeys(each for name in names for each in (parents[name], name) if each is not None)
    done = {name: _read_result(name, outcome.done[name], recipes[name], beside) for name in names if name in outcome.done}
    odd = _find_data_differences([recipes[name] for name in used], shelf)
    measure: TableMetric = "loss" if planned.published.evaluation == "pretrain" else "top1"
    return ObtainedTable(
        published=planned.published,
        scale=plan.scale,
        measure=measure,
        comparable=plan.scale == "full" and not odd,
        notes=tuple(list_notes(planned.published, plan.scale, odd)),
        cells=tuple(_collect_cell(cell, planned, done, outcome.problems) for cell in planned.cells),
        curves=tuple(_curves(planned, outcome.done)) if measure == "loss" else (),
    )


def _collect_cell(
    cell: PlannedCell, planned: PlannedTable, done: Mapping[str, ObtainedRun], problems: Mapping[str, str]
) -> ObtainedCell:
    runs = tuple(done[name] for name in cell.runs if name in done)
    problem = "; ".join(dict.fromkeys(problems[name] for name in cell.runs if name in problems))
    unfinished = ObtainedCell(row=cell.row, column=cell.column, state="pending", runs=runs, planned=len(cell.runs))
    if len(runs) < len(cell.runs):
        return unfinished.replaced(state="failed", problem=problem) if problem else unfinished
    obtained = Spread.of([run.value for run in runs])
    bests = [run.best for run in runs if run.best is not None]
    published = planned.published.rows[cell.row].values[cell.column]
    return unfinished.replaced(
        state="done",
        obtained=obtained,
        best=Spread.of(bests) if bests else None,
        difference=None if published is None else obtained.mean - published,
    )


def _read_result(name: str, folder: Path, recipe: Recipe, beside: Path) -> ObtainedRun:
    result = read_record(folder).result
    where = Path(os.path.relpath(folder, beside)).as_posix()
    if isinstance(result, PretrainResult):
        return ObtainedRun(name=name, folder=where, seed=recipe.seed, value=_last_loss(result, folder))
    return ObtainedRun(
        name=name,
        folder=where,
        seed=recipe.seed,
        value=result.last_top1,
        best=result.best_top1,
        best_epoch=result.best_epoch,
    )


def _last_loss(result: PretrainResult, folder: Path) -> float:
    if result.last_loss is None:
        raise RecordError(f"{folder}: a pre-training of no epochs has no loss", remedy="Train it for some epochs.")
    return result.last_loss


def _curves(planned: PlannedTable, done: Mapping[str, Path]) -> list[LossCurve]:
    return [
        LossCurve(run=name, method=planned.published.rows[cell.row].method, loss=read_losses(done[name]))
        for cell in planned.cells
        for name in cell.runs
        if name in done
    ]


def read_losses(run: Path) -> tuple[float, ...]:
    """Return the mean loss of every epoch of a run.

    Raises:
        RecordError: its metrics are missing or damaged.
    """
    path = run / METRICS_FILE
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return tuple(float(line["loss"]) for line in lines if line["event"] == "epoch")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise RecordError(
            f"{path}: cannot be read ({type(problem).__name__})",
            remedy="Bring the file back, or remove the run's folder to train it again.",
        ) from problem


def _find_data_differences(recipes: list[Recipe], shelf: DataCatalog) -> list[str]:
    """Return what to say of clips that are not the published ones; of data that is not there, nothing."""
    said = {}
    for recipe in recipes:
        try:
            split = shelf.split(recipe, whole=True)
        except MampctlError:
            continue
        if odd := [*_data_differences(split)]:
            said[f"{recipe.dataset} {recipe.protocol}"] = ", ".join(odd)
    return [f"{name}: {odd}" for name, odd in said.items()]


def _data_differences(split: SplitInfo) -> Iterator[str]:
    if not split.official:
        counts = split.counts
        yield (
            f"{counts.train:,} training and {counts.test:,} test clips, officially "
            f"{_show_count(counts.official_train)} and {_show_count(counts.official_test)}"
        )
    if split.corrected:
        yield "clips of the policy 'corrected'"


def _show_count(clips: int | None) -> str:
    return "unknown" if clips is None else f"{clips:,}"
