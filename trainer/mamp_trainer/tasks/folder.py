"""Owns a run's folder: what may be begun in it, the recipe it is begun with, and the record it ends with."""

from pathlib import Path

import yaml

from mamp_schemas.errors import OutputError
from mamp_schemas.output import output_errors
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import Recipe
from mamp_schemas.results import RunRecord
from mamp_trainer.output import write_file

RECIPE_FILE = "recipe.yaml"
RECORD_FILE = "run.json"


def refuse_existing(run: Path, resume: bool) -> None:
    """Refuse a folder that already holds something, unless it is to be gone on with.

    Raises:
        OutputError: the folder is not empty, or is a file.
    """
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run} is a file, not a run's folder", remedy="Name another folder.")
    if run.exists() and any(run.iterdir()) and not resume:
        raise OutputError(
            f"{run} already holds a run", remedy="Go on with it by --resume, or name another folder with --out."
        )


def begin_folder(run: Path, recipe: Recipe, resume: bool, progress: Progress) -> None:
    """Make the folder of a run that has no checkpoint yet, and write its recipe there.

    Args:
        run: the folder.
        recipe: what is trained.
        resume: whether it was to be gone on with; then it may hold what this recipe's run left so far.
        progress: is told that there is nothing to go on from.

    Raises:
        OutputError: it holds other things, or cannot be written.
    """
    settings = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    if resume:
        _refuse_foreign(run, settings)
        progress.message(f"{run} has no checkpoint yet: beginning at the first step")
    with output_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    write_file(run / RECIPE_FILE, settings.encode())


def write_record(run: Path, record: RunRecord) -> None:
    """Write a run's record: its presence says that the run is complete."""
    write_file(run / RECORD_FILE, record.model_dump_json(indent=2).encode() + b"\n")


def _refuse_foreign(run: Path, settings: str) -> None:
    """Refuse to begin anew in a folder of other things, or of another recipe's run."""
    recipe = run / RECIPE_FILE
    own = recipe.exists() and recipe.read_text() == settings
    if run.exists() and any(run.iterdir()) and not own:
        raise OutputError(
            f"{run}: there is no checkpoint to go on from, and what it holds is not of this recipe's run",
            remedy="Name another folder with --out.",
        )
