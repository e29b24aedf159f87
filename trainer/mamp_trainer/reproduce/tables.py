"""Published tables with the numbers that runs obtained, as Markdown, CSV and JSON."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mamp_schemas.errors import MampctlError, RecordError
from mamp_schemas.io.atomic import output_errors, write_file
from mamp_schemas.io.run_files import read_curve, read_record
from mamp_schemas.models.published import TOLERANCE
from mamp_schemas.models.published.format import Column, PublishedTable, Row
from mamp_schemas.models.recipe import PRETRAIN, Recipe
from mamp_schemas.models.reproduction import (
    LossCurve,
    ObtainedCell,
    ObtainedRun,
    ObtainedTable,
    PlannedCell,
    PlannedTable,
    ReproductionPlan,
    Scale,
    TableMetric,
)
from mamp_schemas.models.results import PretrainResult, Spread
from mamp_trainer.reproduce.catalog import DataCatalog, SplitInfo
from mamp_trainer.reproduce.plan import Outcome

_FIGURE = "The paper's text has no numbers of this figure"
_OF_TABLES = {
    "1": "PKU-MMD: batch and learning rate of the released configurations, encoders after all 400 epochs.",
    "6": "Encoders are taken after all 400 epochs; the released scripts take PKU-MMD I's after 301.",
    "7": "Joints from joints is SkeletonMAE*, with uniform masking, as its numbers are table 1's. The paper does not "
    "say how the rows of motion input were masked: motion-aware here.",
    "fig-mask-ratio": f"{_FIGURE}, nor the ratios: those here are a choice. At 0.9 the number is table 1's.",
    "fig-schedule": f"{_FIGURE}, nor the data; schedules range from 80 to 400 epochs, the steps between are a choice. "
    "At 400 epochs the numbers are table 1's.",
    "fig-loss": f"{_FIGURE}. The two losses are of different targets: their courses compare, not their heights.",
}


def list_notes(published: PublishedTable, scale: Scale, odd: Sequence[str]) -> Iterator[str]:
    """Yield the notes of a table, one sentence or more each.

    Args:
        published: the table.
        scale: at which it was obtained.
        odd: how clips and splits differ from the published ones.
    """
    if scale == "small":
        yield (
            "Reduced networks and epochs: these numbers show that the runs work, and reproduce nothing. They are not "
            "comparable with the published ones."
        )
    if odd:
        yield f"Other data than the published, so not comparable with the published numbers: {'; '.join(odd)}."
    if published.evaluation == PRETRAIN:
        yield "The number is the mean loss of the last epoch."
    else:
        yield (
            "The number is top-1 accuracy in percent after the last epoch; the best epoch, chosen on the test split "
            "itself as the authors report, is given separately. Other methods' numbers are as published."
        )
    if scale == "full" and not odd:
        yield f"A faithful run may differ by {TOLERANCE} points."
    if published.name in _OF_TABLES:
        yield _OF_TABLES[published.name]


def collect(plan: ReproductionPlan, outcome: Outcome, catalog: DataCatalog, tables_folder: Path) -> list[ObtainedTable]:
    """Return a plan's tables with the numbers obtained so far.

    Args:
        plan: the tables.
        outcome: the finished runs, and the problems of others.
        catalog: the data.
        tables_folder: the folder that the tables are written to; paths of runs are relative to it.

    Raises:
        RecordError: a run's record cannot be read.
    """
    return [_collect_table(planned, plan, outcome, catalog, tables_folder) for planned in plan.tables]


def _collect_table(
    planned: PlannedTable, plan: ReproductionPlan, outcome: Outcome, catalog: DataCatalog, tables_folder: Path
) -> ObtainedTable:
    recipes = {run.name: run.recipe for run in plan.runs}
    parents = {run.name: run.parent for run in plan.runs}
    names = dict.fromkeys(name for cell in planned.cells for name in cell.runs)
    used = dict.fromkeys(run for name in names for run in (parents[name], name) if run is not None)
    done = {
        name: _read_result(name, outcome.done[name], recipes[name], tables_folder)
        for name in names
        if name in outcome.done
    }
    odd = _find_data_differences([recipes[name] for name in used], catalog)
    measure: TableMetric = "loss" if planned.published.evaluation == PRETRAIN else "top1"
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


def _read_result(name: str, folder: Path, recipe: Recipe, tables_folder: Path) -> ObtainedRun:
    result = read_record(folder).result
    relative = Path(os.path.relpath(folder, tables_folder)).as_posix()
    if isinstance(result, PretrainResult):
        return ObtainedRun(name=name, folder=relative, seed=recipe.seed, value=_last_loss(result, folder))
    return ObtainedRun(
        name=name,
        folder=relative,
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
        LossCurve(run=name, method=planned.published.rows[cell.row].method, loss=_epoch_losses(done[name]))
        for cell in planned.cells
        for name in cell.runs
        if name in done
    ]


def _epoch_losses(run: Path) -> tuple[float, ...]:
    return tuple(epoch["loss"] for epoch in read_curve(run, complete=True, digest=read_record(run).metrics).epochs)


def _find_data_differences(recipes: list[Recipe], catalog: DataCatalog) -> list[str]:
    """Return how the clips of the stores differ from the published ones; missing stores are left out."""
    differences = {}
    for recipe in recipes:
        try:
            split = catalog.split(recipe, whole=True)
        except MampctlError:
            continue
        if odd := [*_data_differences(split)]:
            differences[f"{recipe.dataset} {recipe.protocol}"] = ", ".join(odd)
    return [f"{name}: {odd}" for name, odd in differences.items()]


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


_NONE = "–"
_HEAD = (
    *("table", "scale", "comparable", "method", "input", "backbone", "settings"),
    *("dataset", "protocol", "fraction", "source"),
    *("published", "obtained", "deviation", "difference", "best", "best_deviation"),
    *("state", "runs", "planned", "folders", "problem"),
)


def file_stem(table: str, scale: Scale) -> str:
    """Return what a table's files are called, without their endings."""
    name = table if table.startswith("fig-") else f"table-{table}"
    return name if scale == "full" else f"{name}-{scale}"


def table_files(folder: Path, table: ObtainedTable) -> dict[Path, str]:
    """Return a table's files and their contents."""
    contents = {".md": to_markdown(table), ".csv": to_csv(table), ".json": table.model_dump_json(indent=1) + "\n"}
    if table.measure == "loss":
        contents["-curves.csv"] = curves_to_csv(table)
    name = file_stem(table.published.name, table.scale)
    return {folder / f"{name}{ending}": text for ending, text in contents.items()}


def write_table(folder: Path, table: ObtainedTable) -> None:
    """Write a table's files, each whole or not at all.

    Raises:
        OutputError: they cannot be written.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in table_files(folder, table).items():
        write_file(path, text.encode())


def to_markdown(table: ObtainedTable) -> str:
    """Return a table as Markdown: a line for each published or planned number, with links to its runs."""
    published, cells = table.published, {(cell.row, cell.column): cell for cell in table.cells}
    lines = [
        f"# {table_title(table)}",
        "",
        f"Published: {published.source}.",
        "",
        *(f"- {note}" for note in table.notes),
        "",
    ]
    head = ("method", "data", "published", "obtained", "difference", "best epoch", "runs")
    lines += [_line(head), _line(["---"] * len(head))]
    for row_at, row in enumerate(published.rows):
        for column_at, column in enumerate(published.columns):
            cell = cells.get((row_at, column_at))
            value = row.values[column_at]
            if cell is None and value is None:
                continue
            number = _NONE if value is None else f"{value:.1f}"
            lines.append(_line((describe_row(row), describe_column(column), number, *_shown(cell, table.measure))))
    problems = dict.fromkeys(cell.problem for cell in table.cells if cell.problem)
    if problems:
        lines += ["", "What failed:", "", *(f"- {problem}" for problem in problems)]
    return "\n".join(lines) + "\n"


def table_title(table: ObtainedTable) -> str:
    """Return a table's title; it says where the table is not a reproduction."""
    name = table.published.name
    what = f"{'Figure' if name.startswith('fig-') else 'Table'} {name.removeprefix('fig-')}: {table.published.title}"
    if table.scale == "small":
        return f"{what} (reduced scale: not a reproduction)"
    return what if table.comparable else f"{what} (other data: not a reproduction)"


def describe_row(row: Row) -> str:
    """Return a row's label."""
    settings = [f"{field}={value}" for field, value in row.recipe.items()]
    return ", ".join((row.method, *(part for part in (row.input, row.backbone) if part), *settings))


def describe_column(column: Column) -> str:
    """Return a column's label."""
    part = "" if column.fraction is None else f", {100 * column.fraction:g} % of labels"
    source = "" if column.source is None else f", from {column.source}"
    return f"{column.dataset} {column.protocol}{part}{source}"


def show_cell(cell: ObtainedCell, measure: str) -> tuple[str, str, str]:
    """Return a number as obtained, its difference and the best epoch's, as text."""
    digits = 4 if measure == "loss" else 2
    if cell.obtained is None:
        done = f" ({len(cell.runs)} of {cell.planned} runs done)" if cell.planned > 1 else ""
        return cell.state + done, _NONE, _NONE
    deviation = "" if cell.obtained.deviation is None else f" ± {cell.obtained.deviation:.{digits}f}"
    difference = _NONE if cell.difference is None else f"{cell.difference:+.2f}"
    return f"{cell.obtained.mean:.{digits}f}{deviation}", difference, _NONE if cell.best is None else str(cell.best)


def to_csv(table: ObtainedTable) -> str:
    """Return a table as CSV: a line for each published or planned number; missing values are empty."""
    cells = {(cell.row, cell.column): cell for cell in table.cells}
    lines = [
        _record(table, row, column, row.values[column_at], cells.get((row_at, column_at)))
        for row_at, row in enumerate(table.published.rows)
        for column_at, column in enumerate(table.published.columns)
        if (row_at, column_at) in cells or row.values[column_at] is not None
    ]
    return _csv(_HEAD, lines)


def curves_to_csv(table: ObtainedTable) -> str:
    """Return the loss of every epoch as CSV."""
    lines = [
        (curve.method, curve.run, epoch, loss)
        for curve in table.curves
        for epoch, loss in enumerate(curve.loss, start=1)
    ]
    return _csv(("method", "run", "epoch", "loss"), lines)


def _record(
    table: ObtainedTable, row: Row, column: Column, value: float | None, cell: ObtainedCell | None
) -> list[object]:
    obtained, best = (cell.obtained, cell.best) if cell else (None, None)
    settings = " ".join(f"{field}={setting}" for field, setting in row.recipe.items())
    settings_and_data = [row.method, row.input, row.backbone, settings, *column.__dict__.values(), value]
    numbers = [obtained and obtained.mean, obtained and obtained.deviation, cell and cell.difference]
    bests = [best and best.mean, best and best.deviation]
    runs = [cell.state, len(cell.runs), cell.planned] if cell else ["published", 0, 0]
    folders = ";".join(run.folder for run in cell.runs) if cell else ""
    problem = cell.problem if cell else ""
    return [
        table.published.name,
        table.scale,
        table.comparable,
        *settings_and_data,
        *numbers,
        *bests,
        *runs,
        folders,
        problem,
    ]


def _shown(cell: ObtainedCell | None, measure: str) -> tuple[str, ...]:
    if cell is None:
        return (_NONE,) * 4
    names = [run.name if cell.planned == 1 else str(at) for at, run in enumerate(cell.runs, 1)]
    links = " ".join(f"[{name}](<{run.folder}>)" for name, run in zip(names, cell.runs, strict=True))
    return (*show_cell(cell, measure), links or _NONE)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _csv(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if value is None else value for value in line] for line in lines)
    return text.getvalue()
