"""`mampctl report`: write an HTML page about a store or about runs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import parse_storage_path
from mampctl.options import JsonOption, complete_store, path_option
from mampctl.output.console import count, print_json, print_line, print_summary, print_table
from mampctl.output.hints import print_hint
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

logger = logging.getLogger(__name__)


def report(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="One store, or the folders of runs.", autocompletion=complete_store),
    ],
    out: Annotated[
        Path,
        path_option("The HTML file; an existing file is overwritten."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write an HTML page about a store or runs.

    The page is one file. For a store it shows counts, motion, outliers and clips, for runs curves and classes.
    """
    with needed_extras():
        import plotly  # noqa: F401 - the page needs it at the end of long work: fail at the beginning

    runs = _run_folders(paths)
    if runs:
        _report_runs(runs, out, as_json)
    elif len(paths) == 1:
        _report_store(paths[0], out, as_json)
    else:
        raise UsageError(
            f"none of {', '.join(paths)} is the folder of a run, and a report of stores takes one store",
            remedy="Name one store, or folders of runs.",
        )


def _run_folders(paths: Sequence[str]) -> list[Path]:
    """Return the paths if they are folders of runs; nothing if none of them is.

    Raises:
        UsageError: only some of them are.
    """
    from mamp_schemas.io.run_files import holds_run

    folders = {
        path: folder for path in paths if isinstance(folder := parse_storage_path(path), Path) and holds_run(folder)
    }
    others = [path for path in paths if path not in folders]
    if folders and others:
        raise UsageError(
            f"{others[0]} is not the folder of a run, as {next(iter(folders))} is",
            remedy="Name folders of runs only, or one store.",
        )
    return list(folders.values())


def _report_runs(folders: Sequence[Path], out: Path, as_json: bool) -> None:
    from mamp_pipeline.report.runs_page import read_run_reports, write_runs_page

    runs = read_run_reports(folders)
    size = write_runs_page(runs, out)
    for run in runs:
        for note in run.notes:
            logger.warning(f"{run.path}: {note}")
    if as_json:
        print_json({"file": str(out), "bytes": size, "runs": [run.path for run in runs]})
        return
    print_summary(out, f"{count(len(runs), 'run')}, {size / 1e6:.1f} MB")
    print_line("open it in a browser")
    print_hint("runs", "show" if len(runs) == 1 else "compare", *folders)


def _report_store(store: str, out: Path, as_json: bool) -> None:
    from mamp_pipeline.report.quality import CRITERIA
    from mamp_pipeline.report.store_page import write_store_page
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(parse_storage_path(store))
    with show_progress() as progress:
        result = write_store_page(opened, out, progress)
    if as_json:
        print_json({"file": str(out), "bytes": result.size, "outliers": result.outliers, "viewable": result.viewable})
        return
    rows = [(CRITERIA[kind][0], f"{clips:,}") for kind, clips in result.outliers.items()]
    print_table(rows, ("outliers", "clips"))
    clips = f"{count(len(opened.ids), 'clip')}, {result.viewable} of them to play"
    print_summary(out, f"{clips}, {result.size / 1e6:.1f} MB")
    print_line("open it in a browser")
    if opened.ids:
        print_hint("show", store, opened.ids[0])
