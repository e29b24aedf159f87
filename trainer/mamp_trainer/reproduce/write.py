"""Owns a table's files: Markdown to read, CSV and JSON to compute with, and the curves of a figure of losses."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mamp_schemas.output import output_errors
from mamp_schemas.published.table import Column, Row
from mamp_schemas.reproduction import ObtainedCell, ObtainedTable, Scale
from mamp_trainer.output import write_file

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
    """Return a table's files and what stands in them."""
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
    lines = [f"# {table_title(table)}", "", f"Published: {published.source}.", "", *(f"- {note}" for note in table.notes), ""]
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
    """Return a table's title, which says whether it reproduces anything."""
    name = table.published.name
    what = f"{'Figure' if name.startswith('fig-') else 'Table'} {name.removeprefix('fig-')}: {table.published.title}"
    if table.scale == "small":
        return f"{what} (reduced scale: not a reproduction)"
    return what if table.comparable else f"{what} (other data: not a reproduction)"


def describe_row(row: Row) -> str:
    """Return a row's label."""
    settings = [f"{field}={value}" for field, value in row.recipe.items()]
    return ", ".join((row.method, *(each for each in (row.input, row.backbone) if each), *settings))


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
    """Return a table as CSV: a line for each published or planned number; what is not there is empty."""
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
    facts = [row.method, row.input, row.backbone, settings, *column.__dict__.values(), value]
    numbers = [obtained and obtained.mean, obtained and obtained.deviation, cell and cell.difference]
    bests = [best and best.mean, best and best.deviation]
    runs = [cell.state, len(cell.runs), cell.planned] if cell else ["published", 0, 0]
    folders = ";".join(run.folder for run in cell.runs) if cell else ""
    problem = cell.problem if cell else ""
    return [table.published.name, table.scale, table.comparable, *facts, *numbers, *bests, *runs, folders, problem]


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
