"""`mampctl runs list|show|compare`: list training runs and explain why their numbers differ."""

import logging
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import parse_local_path
from mamp_schemas.models.recipe import task_names
from mamp_schemas.registry import DATASETS, unknown_name
from mampctl.defaults import data_folder
from mampctl.options import JsonOption, complete_dataset, complete_task
from mampctl.output.console import print_json

if TYPE_CHECKING:
    from mamp_schemas.io.run_files import Run

logger = logging.getLogger(__name__)


app = typer.Typer(help="List, show and compare training runs.", no_args_is_help=True)


@app.command("list")
def list_(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=parse_local_path, metavar="[FOLDER]...", help="Folders that hold runs. [default: $MAMPCTL_DATA/runs]"
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(autocompletion=complete_task, help="Only runs of this task, such as pretrain or linear."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(autocompletion=complete_dataset, help="Only runs on this dataset, such as ntu60 or nwucla."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, complete or not."""
    from mamp_schemas.io.run_files import read_runs
    from mamp_trainer.runs.index import summarise_run
    from mampctl.output.tables import print_runs

    lines = [summarise_run(run) for run in read_runs(_find_run_folders(folders))]
    if task is not None and task not in (*task_names(), *(line.task for line in lines)):
        raise unknown_name("task", task, task_names())
    if dataset is not None and dataset not in (*DATASETS.names(), *(line.dataset for line in lines)):
        raise unknown_name("dataset", dataset, DATASETS.names())
    lines = [line for line in lines if task in (None, line.task) and dataset in (None, line.dataset)]
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
    else:
        print_runs(lines)


@app.command("show")
def show(
    run: Annotated[Path, typer.Argument(parser=parse_local_path, metavar="RUN", help="The run's folder.")],
    as_json: JsonOption = False,
) -> None:
    """Show everything known of a run.

    Also shown is where its recipe differs from the built-in recipe of that name.
    """
    from mamp_trainer.runs.index import run_detail
    from mampctl.output.tables import print_detail

    detail = run_detail(_find_run(run))
    if as_json:
        print_json(detail.model_dump(mode="json"))
    else:
        print_detail(detail)


@app.command("compare")
def compare(
    runs: Annotated[
        list[Path], typer.Argument(parser=parse_local_path, metavar="RUN RUN...", help="Folders of two or more runs.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Compare runs: settings and results.

    For runs that differ in the seed only, mean and standard deviation are shown.
    """
    from mamp_trainer.runs.compare import compare as compare_runs
    from mampctl.output.tables import print_comparison

    if len(runs) < 2:
        raise UsageError(
            "runs compare got one run, expected two or more", remedy="Name the folders of two or more runs."
        )
    comparison = compare_runs([_find_run(run) for run in runs])
    if as_json:
        print_json(comparison.model_dump(mode="json"))
    else:
        print_comparison(comparison)


def _find_run_folders(folders: list[Path] | None) -> list[Path]:
    """Return the folders that the user named; the default, in the data folder, may not exist yet.

    Raises:
        UsageError: a named folder does not exist.
    """
    if not folders:
        folder = data_folder() / "runs"
        logger.info(f"runs in {folder}")
        return [folder]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise UsageError(
            f"no such folder: {', '.join(missing)}", remedy="Name folders of runs, or folders that hold such folders."
        )
    return folders


def _find_run(folder: Path) -> "Run":
    """Return the run that a folder holds.

    Raises:
        UsageError: the folder holds no run.
    """
    from mamp_schemas.io.run_files import holds_run, read_run

    if not holds_run(folder):
        where = f" {quote(str(folder.parent))}" if folder.parent.is_dir() else ""
        raise UsageError(
            f"no such run: {folder}{' has neither run.json nor recipe.yaml' if folder.exists() else ''}",
            remedy=f"Name the folder of a run: `mampctl runs list{where}` shows those that are there.",
        )
    return read_run(folder)
