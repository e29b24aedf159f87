"""What each run was and what came out, in a line or in full; and the finished run of a given work."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mamp_schemas.errors import ConfigError, RecordError, UsageError
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
from mamp_schemas.models.recipe import Recipe, parse_recipe, recipe_class
from mamp_schemas.models.results import RunRecord
from mamp_schemas.models.splits import Subset
from mamp_schemas.registry import DATASETS
from mamp_trainer.recipes import builtin_recipe


def find_finished(
    runs: Iterable[Run], recipe_hash: str, store_hash: str, manifest_hash: str, encoder: str
) -> Run | None:
    """Return the first complete run of a given work, so that it need not be done again; None if there is none.

    Args:
        runs: those that `read_runs` returned.
        recipe_hash: `digest()` of the resolved recipe, seed and draw included.
        store_hash: the store's content hash.
        manifest_hash: `digest()` of the split manifest, for a draw of the training clips that of the draw.
        encoder: digest of the encoder's weights at the start (`mamp_trainer.checkpoints.load.weights_digest` of
            `load_encoder`), or `untrained`.
    """
    work = (recipe_hash, store_hash, manifest_hash)
    return next((run for run in runs if run.record and _is_of_work(run.record, work, encoder)), None)


def _is_of_work(record: RunRecord, work: tuple[str, str, str], encoder: str) -> bool:
    same_work = (record.recipe_hash, record.store_hash, record.manifest_hash) == work
    return same_work and record.started_from_weights(encoder)


class RunSummary(Model):
    """A run in one line; None where something is unknown or does not apply.

    Attributes:
        run: its folder.
        recipe: the recipe's name.
        epochs, planned_epochs, step: how far it has come.
        last_top1, best_top1, best_epoch: of an evaluation, in percent; the best epoch is chosen on the test split.
        last_loss: mean loss of the last epoch of a pre-training.
        seconds: of all sessions.
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
    """Read the recipe of a run.

    Raises:
        RecordError: it is missing or unreadable.
        ConfigError: it does not validate; names the keys.
    """
    return parse_recipe(read_recipe_data(folder), str(folder))


def read_settings(folder: Path) -> dict[str, Any]:
    """Return all fields of a run's recipe, those that it leaves to their defaults too.

    Where the recipe's task, objective or dataset is of a plug-in that is not installed, the fields of the file.

    Raises:
        RecordError: the recipe is missing or unreadable.
        ConfigError: it does not validate; names the keys.
    """
    fields = read_recipe_data(folder)
    return fields if missing_plugin(fields) else parse_recipe(fields, str(folder)).model_dump(mode="json")


def missing_plugin(fields: Mapping[str, Any]) -> str | None:
    """Return which task, objective or dataset of a recipe is not installed; None where all are."""
    task, objective, dataset = (fields.get(key) for key in ("kind", "objective", "dataset"))
    try:
        if isinstance(task, str):
            recipe_class(task, objective)
        if isinstance(dataset, str):
            DATASETS.entry(dataset)
    except UsageError as problem:
        return problem.message
    return None


def summarise_run(run: Run) -> RunSummary:
    """Return a run in one line. Only what the record does not say is read from recipe and metrics."""
    if run.record is not None:
        return _summary_of_record(run, run.record)
    try:
        settings = read_settings(run.folder)
    except (ConfigError, RecordError) as problem:
        return RunSummary(run=str(run.folder), state="damaged", problem=run.problem or problem.message)
    return _summary_of_settings(run, settings, read_run_progress(run.folder))


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


def _summary_of_settings(run: Run, settings: Mapping[str, Any], reached: RunProgress | None) -> RunSummary:
    measured = reached.measured if reached else {}
    return RunSummary(
        run=str(run.folder),
        state=run.state,
        task=settings.get("kind"),
        recipe=settings.get("name"),
        dataset=settings.get("dataset"),
        protocol=settings.get("protocol"),
        subset=_subset(settings),
        seed=settings.get("seed"),
        epochs=reached.epoch if reached else 0,
        planned_epochs=settings.get("schedule", {}).get("epochs"),
        step=reached.step if reached else 0,
        last_top1=measured.get(TOP1),
        last_loss=None if TOP1 in measured else measured.get("loss"),
        seconds=measured.get("seconds"),
        problem=run.problem,
    )


def _subset(settings: Mapping[str, Any]) -> Subset | None:
    subset = settings.get("subset")
    return None if subset is None else Subset.model_validate(subset)


class RunDetail(Model):
    """All that is known of a run.

    Attributes:
        line: the run in one line.
        record: of a complete run.
        recipe: all fields of the run's recipe; None where it cannot be read.
        shipped: whether there is a built-in recipe of that name.
        changes: where the run's recipe differs from the built-in one: the values of both.
        notes: what could not be read, and what does not agree.
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
        fields, settings = read_recipe_data(run.folder), read_settings(run.folder)
    except (ConfigError, RecordError) as problem:
        return RunDetail(line=line, record=run.record, notes=(problem.message,))
    missing = missing_plugin(fields)
    built_in = None if missing else builtin_recipe(settings["kind"], settings["name"])
    compared = [flatten(built_in.model_dump(mode="json")), flatten(settings)] if built_in else []
    return RunDetail(
        line=line,
        record=run.record,
        recipe=settings,
        shipped=built_in is not None,
        changes=find_differences(compared),
        notes=(*([missing] if missing else []), *_notes(run.record, fields)),
    )


def _notes(record: RunRecord | None, fields: dict[str, Any]) -> tuple[str, ...]:
    if record is None or record.recipe_hash == digest_dumped(fields):
        return ()
    return (
        "recipe.yaml is not the recipe of the record's hash: the run was resumed with another placement, "
        "or the file has been edited since",
    )
