"""Owns what a run's numbers depend on, aspect by aspect: what is compared when two runs differ."""

from pathlib import Path
from typing import Any

from mamp_schemas.base import digest_data
from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.recipes import PLACEMENT
from mamp_schemas.results import RunRecord
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.ledger.fields import flatten
from mamp_trainer.ledger.files import read_settings
from mamp_trainer.ledger.lines import read_recipe
from mamp_trainer.ledger.runs import Run, holds_run, read_run

Facts = dict[str, Any]
"""Flat fields of one aspect of a run."""

RECIPE, SEED, STORE, SPLIT, ENCODER, PRETRAINING, PLACED, VERSIONS, HARDWARE = ASPECTS = (
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

_TITLES = frozenset({"name", "summary"})
_DRAWN = frozenset({"seed", "subset.draw"})


def list_facts(run: Run) -> dict[str, Facts | None]:
    """Return a run's fields by aspect; None where nothing is known of an aspect."""
    settings, record = _settings(run.folder), run.record
    hardware = record.hardware.model_dump(mode="json") if record and record.hardware else None
    return {
        RECIPE: None if settings is None else _without(settings, _TITLES | PLACEMENT | _DRAWN),
        SEED: None if settings is None else {key: value for key, value in settings.items() if key in _DRAWN},
        STORE: {"content_hash": record.store_hash} if record else None,
        SPLIT: {"digest": record.manifest_hash} if record else None,
        ENCODER: {"weights": record.encoder_weights} if record else None,
        PRETRAINING: _pretraining(record) if record else None,
        PLACED: _placement(settings, record),
        VERSIONS: dict(record.versions) if record else None,
        HARDWARE: None if hardware is None else flatten(hardware),
    }


def _pretraining(record: RunRecord) -> Facts | None:
    """Return what the encoder was trained by and on, if its run is still where it was, and still that run."""
    if record.encoder == UNTRAINED:
        return None
    named = Path(record.origin.checkpoint if record.origin else record.encoder.partition(" (weights ")[0])
    folder = next((each for each in (named, named.parent.parent) if holds_run(each)), None)
    settings = _settings(folder) if folder else None
    if folder is None or settings is None:
        return None
    expected = record.origin.recipe_hash if record.origin else None
    if expected is not None and expected != digest_data(read_settings(folder)):
        return None
    # Format 1 may name the run: then its last checkpoint was taken.
    checkpoint = max((folder / "checkpoints").glob("step-*"), default=named) if named == folder else named
    left = read_run(folder).record
    data = {STORE: left.store_hash, SPLIT: left.manifest_hash} if left else {}
    return {**_without(settings, _TITLES | PLACEMENT), **data, "checkpoint": checkpoint.name}


def _placement(settings: Facts | None, record: RunRecord | None) -> Facts | None:
    if settings is None or record is None:
        return None
    return {"device": record.device, **{key: value for key, value in settings.items() if key in PLACEMENT}}


def _settings(folder: Path) -> Facts | None:
    """Return the fields of a run's recipe, those included that came up after it with their defaults."""
    try:
        return flatten(read_recipe(folder).model_dump(mode="json"))
    except (ConfigError, RecordError):
        return None


def _without(settings: Facts, keys: frozenset[str]) -> Facts:
    return {key: value for key, value in settings.items() if key not in keys}
