"""Finds the runs below a folder, and tells what each was and what came out, in a line or in full."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.io.run_files import (
    TOP1,
    Run,
    RunProgress,
    RunState,
    read_recipe_data,
    read_run_progress,
)
from mamp_schemas.models.base import Model, digest_dumped
from mamp_schemas.models.differences import Difference, find_differences, flatten
from mamp_schemas.models.recipe import Recipe, parse_recipe
from mamp_schemas.models.results import RunRecord
from mamp_schemas.models.splits import Subset
from mamp_trainer.recipes import builtin_recipe


def find_finished(
    runs: Iterable[Run], recipe_hash: str, store_hash: str, manifest_hash: str, encoder: str
) -> Run | None:
    """Return the first complete run that did a certain work, so that it need not be done again; None if none did.

    For `mampctl reproduce`, and whoever else plans runs: `find_finished(read_runs([folder]), recipe.digest(), ...)`.

    Args:
        runs: those that `read_runs` found.
        recipe_hash: `digest()` of the resolved recipe, seed and draw included.
        store_hash: the store's content hash.
        manifest_hash: `digest()` of the split manifest, for `semi` that of the draw.
        encoder: digest of the weights that the encoder began with (`mamp_trainer.checkpoints.load.digest` of
        `load_encoder`),
            or `untrained`.
    """
    wanted = (recipe_hash, store_hash, manifest_hash)
    return next((run for run in runs if run.record and _has_done(run.record, wanted, encoder)), None)


def _has_done(record: RunRecord, wanted: Sequence[str], encoder: str) -> bool:
    return [record.recipe_hash, record.store_hash, record.manifest_hash] == [*wanted] and record.started_from_weights(
        encoder
    )


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
    task: str | None = None
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
    return parse_recipe(read_recipe_data(folder), str(folder))


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
        return _summary_of_record(run, run.record).replaced(recipe=recipe.name, subset=recipe.training_subset)
    return _summary_of_recipe(run, recipe, read_run_progress(run.folder))


def _summary_of_record(run: Run, record: RunRecord) -> RunSummary:
    result = record.result.model_dump()
    return RunSummary(
        run=str(run.folder),
        state=run.state,
        task=record.task,
        recipe=record.recipe,
        dataset=record.dataset,
        protocol=record.protocol,
        subset=record.subset,
        seed=record.seed,
        epochs=result["epochs"],
        planned_epochs=result["epochs"],
        step=result.get("steps"),
        last_top1=result.get("last_top1"),
        best_top1=result.get("best_top1"),
        best_epoch=result.get("best_epoch"),
        last_loss=result.get("last_loss"),
        seconds=result["seconds"],
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
        subset=recipe.training_subset,
        seed=recipe.seed,
        epochs=reached.epoch if reached else 0,
        planned_epochs=recipe.schedule.epochs,
        step=reached.step if reached else 0,
        last_top1=measured.get(TOP1),
        last_loss=None if TOP1 in measured else measured.get("loss"),
        seconds=measured.get("seconds"),
        problem=run.problem,
    )


class RunDetail(Model):
    """All that is known of a run.

    Attributes:
        line: in short.
        record: of a complete run.
        recipe: as the run was begun with it; None where it cannot be read.
        shipped: whether a recipe of that name comes along.
        changes: where the run's differs from that one: values of the shipped and of the run's own.
        notes: what does not fit together.
    """

    line: RunSummary
    record: RunRecord | None
    recipe: dict[str, Any] | None = None
    shipped: bool = False
    changes: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


def run_detail(run: Run) -> RunDetail:
    """Return all that is known of a run; what cannot be read of it becomes a note."""
    line = summarise_run(run)
    try:
        settings = read_recipe_data(run.folder)
        recipe = parse_recipe(settings, str(run.folder))
    except (ConfigError, RecordError) as problem:
        return RunDetail(line=line, record=run.record, notes=(problem.message,))
    shipped = builtin_recipe(recipe.kind, recipe.name)
    return RunDetail(
        line=line,
        record=run.record,
        recipe=recipe.model_dump(mode="json"),
        shipped=shipped is not None,
        changes=_changes(shipped, recipe) if shipped else (),
        notes=_notes(run.record, settings),
    )


def _changes(shipped: Recipe, own: Recipe) -> tuple[Difference, ...]:
    return find_differences([flatten(recipe.model_dump(mode="json")) for recipe in (shipped, own)])


def _notes(record: RunRecord | None, settings: dict[str, Any]) -> tuple[str, ...]:
    if record is None or record.recipe_hash == digest_dumped(settings):
        return ()
    return (
        "recipe.yaml is not the recipe of the record's hash: the run was taken up again with another placement, "
        "or the file has been edited since",
    )
