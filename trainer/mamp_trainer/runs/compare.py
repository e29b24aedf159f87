"""Comparing runs: on which inputs they agree or differ, and the spread over runs of one setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mamp_schemas.errors import ConfigError, RecordError
from mamp_schemas.io.run_files import Run, holds_run, read_recipe_data, read_run
from mamp_schemas.models.base import Model, canonical_json, digest_dumped
from mamp_schemas.models.differences import Difference, find_differences, flatten
from mamp_schemas.models.recipe import EXECUTION_FIELDS
from mamp_schemas.models.results import RunRecord, Spread
from mamp_trainer.runs.index import RunSummary, read_settings, summarise_run

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
"""In the order in which they are printed: those that numbers depend on first."""

_TITLE_FIELDS = frozenset({"name", "summary"})
_SEED_FIELDS = frozenset({"seed", "subset.draw"})


def run_inputs(run: Run) -> dict[str, RunInputs | None]:
    """Return a run's fields by aspect; None where nothing is known of an aspect."""
    settings, record = _settings(run.folder), run.record
    hardware = record.hardware.model_dump(mode="json") if record else None
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
    """Return recipe and data of the run that trained the encoder, if it is still in its folder and unchanged."""
    if record.origin is None:
        return None
    checkpoint = Path(record.origin.checkpoint)
    folder = checkpoint.parent.parent
    settings = _settings(folder) if holds_run(folder) else None
    expected = record.origin.recipe_hash
    if settings is None or (expected is not None and expected != digest_dumped(read_recipe_data(folder))):
        return None
    left = read_run(folder).record
    data = {STORE: left.store_hash, SPLIT: left.manifest_hash} if left else {}
    return {**_without(settings, _TITLE_FIELDS | EXECUTION_FIELDS), **data, "checkpoint": checkpoint.name}


def _placement(settings: RunInputs | None, record: RunRecord | None) -> RunInputs | None:
    if settings is None or record is None:
        return None
    return {"device": record.device, **{key: value for key, value in settings.items() if key in EXECUTION_FIELDS}}


def _settings(folder: Path) -> RunInputs | None:
    """Return the fields of a run's recipe; None where it cannot be read."""
    try:
        return flatten(read_settings(folder))
    except (ConfigError, RecordError):
        return None


def _without(settings: RunInputs, keys: frozenset[str]) -> RunInputs:
    return {key: value for key, value in settings.items() if key not in keys}


class Aspect(Model):
    """How runs compare in one aspect.

    Attributes:
        name: one of `ASPECTS`.
        state: `unknown` where the aspect is unknown of some runs, and the others agree.
        differences: between the runs of which it is known.
    """

    name: str
    state: Literal["same", "differs", "unknown"]
    differences: tuple[Difference, ...] = ()


class Group(Model):
    """Complete runs of one setting: the same recipe, store, split and pre-training.

    They may differ in their seeds, the pre-training's too, in the draw of the training clips, placement, versions and
    hardware.

    Attributes:
        runs: their folders.
        seeds, draws: of each run; draws where only a part of the training clips was used.
        last_top1, best_top1: of evaluations, in percent.
        last_loss: of pre-trainings.
    """

    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    draws: tuple[int, ...] = ()
    last_top1: Spread | None
    best_top1: Spread | None
    last_loss: Spread | None


class Comparison(Model):
    """Several runs side by side; values of differences are in the order of `runs`."""

    runs: tuple[RunSummary, ...]
    aspects: tuple[Aspect, ...]
    groups: tuple[Group, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare at least two runs."""
    inputs, lines = [run_inputs(run) for run in runs], [summarise_run(run) for run in runs]
    aspects = [_compare_aspect(name, [of_run[name] for of_run in inputs]) for name in ASPECTS]
    return Comparison(
        runs=tuple(lines),
        aspects=tuple(aspect for aspect in aspects if aspect is not None),
        groups=tuple(_find_groups(lines, inputs)),
    )


def _compare_aspect(name: str, settings: Sequence[RunInputs | None]) -> Aspect | None:
    """Compare one aspect; None for pre-trainings where fewer than two are known."""
    known = [inputs for inputs in settings if inputs is not None]
    if name == PRETRAINING and len(known) < 2:
        return None
    differences = find_differences(settings)
    if differences:
        return Aspect(name=name, state="differs", differences=differences)
    return Aspect(name=name, state="same" if len(known) == len(settings) else "unknown")


def _find_groups(lines: Sequence[RunSummary], inputs: Sequence[Mapping[str, RunInputs | None]]) -> list[Group]:
    members: dict[bytes, list[RunSummary]] = {}
    for line, of_run in zip(lines, inputs, strict=True):
        if line.state == "complete" and of_run[RECIPE] is not None:
            members.setdefault(canonical_json(_setting(line, of_run)), []).append(line)
    return [_spread(group) for group in members.values() if len(group) > 1]


def _setting(line: RunSummary, inputs: Mapping[str, RunInputs | None]) -> list[RunInputs | None]:
    """Return what runs of one group have in common.

    The split manifest does not count where only a draw of the training clips is used: each draw has its own. Encoders
    are alike if their pre-trainings are, apart from the seed; if a pre-training is unknown, if their weights are.
    """
    pretraining = inputs[PRETRAINING]
    encoder = inputs[ENCODER]
    if pretraining is not None:
        encoder = {key: value for key, value in pretraining.items() if key != "seed"}
    return [inputs[RECIPE], inputs[STORE], None if line.subset else inputs[SPLIT], encoder]


def _spread(group: Sequence[RunSummary]) -> Group:
    def of(name: str) -> Spread | None:
        values = [value for line in group if (value := getattr(line, name)) is not None]
        return Spread.of(values) if len(values) == len(group) else None

    return Group(
        runs=tuple(line.run for line in group),
        seeds=tuple(line.seed for line in group if line.seed is not None),
        draws=tuple(line.subset.draw for line in group if line.subset is not None),
        last_top1=of("last_top1"),
        best_top1=of("best_top1"),
        last_loss=of("last_loss"),
    )
