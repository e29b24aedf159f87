"""Owns what a run's numbers depend on, aspect by aspect: what is compared when two runs differ."""

from pathlib import Path
from typing import Any

from mamp_schemas.base import digest_dumped
from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.recipes import EXECUTION_FIELDS
from mamp_schemas.results import RunRecord
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.ledger.fields import flatten
from mamp_trainer.ledger.files import read_recipe_data
from mamp_trainer.ledger.lines import read_recipe
from mamp_trainer.ledger.runs import Run, holds_run, read_run

RunInputs = dict[str, Any]
"""Flat fields of one aspect of a run."""

RECIPE, SEED, STORE, SPLIT, ENCODER, PRETRAINING, PLACEMENT_ASPECT, VERSIONS, HARDWARE = ASPECTS = (
    "recipe",
    "seed",
    "store",
    "split manifest",
    "encoder",
    "pre-training",
    "placement",
    "versions",
    "hardware",
)
"""In the order in which they are told: what decides on numbers first."""

_TITLE_FIELDS = frozenset({"name", "summary"})
_SEED_FIELDS = frozenset({"seed", "subset.draw"})


def run_inputs(run: Run) -> dict[str, RunInputs | None]:
    """Return a run's fields by aspect; None where nothing is known of an aspect."""
    settings, record = _settings(run.folder), run.record
    hardware = record.hardware.model_dump(mode="json") if record and record.hardware else None
    return {
        RECIPE: None if settings is None else _without(settings, _TITLE_FIELDS | EXECUTION_FIELDS | _SEED_FIELDS),
        SEED: None if settings is None else {key: value for key, value in settings.items() if key in _SEED_FIELDS},
        STORE: {"content_hash": record.store_hash} if record else None,
        SPLIT: {"digest": record.manifest_hash} if record else None,
        ENCODER: {"weights": record.encoder_weights} if record else None,
        PRETRAINING: _pretraining(record) if record else None,
        PLACEMENT_ASPECT: _placement(settings, record),
        VERSIONS: dict(record.versions) if record else None,
        HARDWARE: None if hardware is None else flatten(hardware),
    }


def _pretraining(record: RunRecord) -> RunInputs | None:
    """Return what the encoder was trained by and on, if its run is still where it was, and still that run."""
    if record.encoder == UNTRAINED:
        return None
    named = Path(record.origin.checkpoint if record.origin else record.encoder.partition(" (weights ")[0])
    folder = next((each for each in (named, named.parent.parent) if holds_run(each)), None)
    settings = _settings(folder) if folder else None
    if folder is None or settings is None:
        return None
    expected = record.origin.recipe_hash if record.origin else None
    if expected is not None and expected != digest_dumped(read_recipe_data(folder)):
        return None
    # Format 1 may name the run: then its last checkpoint was taken.
    checkpoint = max((folder / "checkpoints").glob("step-*"), default=named) if named == folder else named
    left = read_run(folder).record
    data = {STORE: left.store_hash, SPLIT: left.manifest_hash} if left else {}
    return {**_without(settings, _TITLE_FIELDS | EXECUTION_FIELDS), **data, "checkpoint": checkpoint.name}


def _placement(settings: RunInputs | None, record: RunRecord | None) -> RunInputs | None:
    if settings is None or record is None:
        return None
    return {"device": record.device, **{key: value for key, value in settings.items() if key in EXECUTION_FIELDS}}


def _settings(folder: Path) -> RunInputs | None:
    """Return the fields of a run's recipe, those included that came up after it with their defaults."""
    try:
        return flatten(read_recipe(folder).model_dump(mode="json"))
    except (ConfigError, RecordError):
        return None


def _without(settings: RunInputs, keys: frozenset[str]) -> RunInputs:
    return {key: value for key, value in settings.items() if key not in keys}
