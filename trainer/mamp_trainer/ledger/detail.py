"""Owns all that is known of one run."""

from typing import Any

from mamp_schemas.base import Model, digest_dumped
from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.recipes import Recipe
from mamp_schemas.results import RunRecord
from mamp_trainer.ledger.fields import Difference, find_differences, flatten
from mamp_trainer.ledger.files import read_recipe_data
from mamp_trainer.ledger.lines import RunSummary, summarise_run
from mamp_trainer.ledger.runs import Run
from mamp_trainer.recipes import read_resolved, builtin_recipe


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
        recipe = read_resolved(settings, str(run.folder))
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
