"""Owns a run in one line: what it was, how far it has come, and what came out."""

from datetime import datetime
from pathlib import Path

from mamp_schemas.base import Model
from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.recipes import FinetuneRecipe, Recipe, Task
from mamp_schemas.results import EvaluationResult, PretrainResult, RunRecord
from mamp_schemas.splits import Subset
from mamp_trainer.ledger.files import TOP1, RunProgress, read_run_progress, read_recipe_data
from mamp_trainer.ledger.runs import Run, RunState
from mamp_trainer.recipes import read_resolved


class RunSummary(Model):
    """A run in one line; what is None is not known, or not there.

    Attributes:
        run: its folder.
        recipe: the recipe's name.
        epochs, planned_epochs, step: how far it has come.
        last_top1, best_top1, best_epoch: of an evaluation, in percent; the best epoch is chosen on the test side.
        last_loss: mean loss of the last epoch of a pre-training.
        seconds: of all sittings.
        problem: why the run's record, or its recipe, cannot be read.
    """

    run: str
    state: RunState
    task: Task | None = None
    recipe: str | None = None
    dataset: str | None = None
    protocol: str | None = None
    subset: Subset | None = None
    seed: int | None = None
    epochs: int | None = None
    planned_epochs: int | None = None
    step: int | None = None
    last_top1: float | None = None
    best_top1: float | None = None
    best_epoch: int | None = None
    last_loss: float | None = None
    seconds: float | None = None
    finished: datetime | None = None
    problem: str = ""


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe that a run was begun with.

    Raises:
        RecordError: it is missing or unreadable.
        ConfigError: it does not validate; names the keys.
    """
    return read_resolved(read_recipe_data(folder), str(folder))


def summarise_run(run: Run) -> RunSummary:
    """Return a run in one line. Only what the record does not say is read from recipe and metrics."""
    if run.record is not None and run.record.recipe is not None:
        return _summary_of_record(run, run.record)
    try:
        recipe = read_recipe(run.folder)
    except (ConfigError, RecordError) as problem:
        if run.record is not None:
            return _summary_of_record(run, run.record)
        return RunSummary(run=str(run.folder), state="damaged", problem=run.problem or problem.message)
    if run.record is not None:
        # Format 1 leaves to the recipe what it is called, and which draw of the training clips it is about.
        return _summary_of_record(run, run.record).replaced(recipe=recipe.name, subset=_subset(recipe))
    return _summary_of_recipe(run, recipe, read_run_progress(run.folder))


def _summary_of_record(run: Run, record: RunRecord) -> RunSummary:
    result = record.result
    return RunSummary(
        run=str(run.folder),
        state=run.state,
        task=record.task,
        recipe=record.recipe,
        dataset=record.dataset,
        protocol=record.protocol,
        subset=record.subset,
        seed=record.seed,
        epochs=result.epochs,
        planned_epochs=result.epochs,
        step=result.steps if isinstance(result, PretrainResult) else None,
        last_top1=result.last_top1 if isinstance(result, EvaluationResult) else None,
        best_top1=result.best_top1 if isinstance(result, EvaluationResult) else None,
        best_epoch=result.best_epoch if isinstance(result, EvaluationResult) else None,
        last_loss=result.last_loss if isinstance(result, PretrainResult) else None,
        seconds=result.seconds,
        finished=record.finished,
    )


def _summary_of_recipe(run: Run, recipe: Recipe, reached: RunProgress | None) -> RunSummary:
    measured = reached.measured if reached else {}
    return RunSummary(
        run=str(run.folder),
        state=run.state,
        task=recipe.kind,
        recipe=recipe.name,
        dataset=recipe.dataset,
        protocol=recipe.protocol,
        subset=_subset(recipe),
        seed=recipe.seed,
        epochs=reached.epoch if reached else 0,
        planned_epochs=recipe.schedule.epochs,
        step=reached.step if reached else 0,
        last_top1=measured.get(TOP1),
        last_loss=measured.get("loss") if recipe.kind == "pretrain" else None,
        seconds=measured.get("seconds"),
        problem=run.problem,
    )


def _subset(recipe: Recipe) -> Subset | None:
    return recipe.subset if isinstance(recipe, FinetuneRecipe) else None
