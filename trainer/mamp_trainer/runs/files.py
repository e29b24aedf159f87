"""The files of a run's folder that say what it is and how far it has come; their names, and reading them."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from mamp_schemas.errors import RecordError
from mamp_schemas.models.base import parse_model_json, parse_yaml
from mamp_schemas.models.results import RunRecord

UNTRAINED = "untrained"
"""What stands for an encoder with initial weights."""


RECIPE_FILE = "recipe.yaml"
RECORD_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"

TOP1, TOP5 = "test_top1", "test_top5"
"""What metrics call accuracy on the test side, in percent."""

_TAIL_BYTES = 2**16
"""Bytes from the end of metrics.jsonl that are looked at: hundreds of lines."""
_REMEDY = "Update mampctl if a later version wrote it; else bring the file back, or train again in another folder."


class _MetricsLine(BaseModel):
    """A line of metrics: where it stands, and numbers by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    event: str
    epoch: int
    step: int


class RunProgress(NamedTuple):
    """How far a run has come.

    Attributes:
        epoch, step: of the last line of metrics; the epoch may not be over.
        measured: what the last whole epoch's line says by name: its mean loss, accuracies; empty before the first.
    """

    epoch: int
    step: int
    measured: dict[str, float]


class TrainingCurve(NamedTuple):
    """All that a run has told of itself so far: numbers by name, `epoch` and `step` among them, in order.

    Attributes:
        train: of some steps each.
        epochs: of an epoch each.
    """

    train: list[dict[str, float]]
    epochs: list[dict[str, float]]


def read_record(folder: Path) -> RunRecord:
    """Read the record of a complete run.

    Raises:
        RecordError: it is missing, damaged, has an unknown field or is of a later format; names the keys.
    """
    path = folder / RECORD_FILE
    try:
        return parse_model_json(RunRecord, _read_text(path), str(path), RecordError)
    except RecordError as problem:
        raise RecordError(problem.message, remedy=_REMEDY) from None


def read_recipe_data(folder: Path) -> dict[str, Any]:
    """Return the recipe that a run was begun with, as plain data.

    Raises:
        RecordError: it is missing or unreadable.
        ConfigError: it is not YAML.
    """
    path = folder / RECIPE_FILE
    return parse_yaml(_read_text(path), str(path))


def read_run_progress(folder: Path) -> RunProgress | None:
    """Return how far a run has come, by the end of its metrics; None before the first line, or of damaged ones."""
    try:
        lines = [_MetricsLine.model_validate_json(line) for line in _last_lines(folder / METRICS_FILE)]
    except ValidationError:
        return None
    if not lines:
        return None
    whole = next((line for line in reversed(lines) if line.event == "epoch"), None)
    return RunProgress(lines[-1].epoch, lines[-1].step, dict(whole.model_extra or {}) if whole else {})


def read_curve(folder: Path) -> TrainingCurve:
    """Return the course of a run, as far as it has come; a line that is being written at the moment does not count.

    Raises:
        RecordError: metrics are damaged or cannot be read; names the line.
    """
    path = folder / METRICS_FILE
    course = TrainingCurve([], [])
    lines = _read_text(path).split("\n")[:-1] if path.exists() else []
    for number, text in enumerate(lines, 1):
        try:
            line = _MetricsLine.model_validate_json(text)
        except ValidationError as problem:
            reason = problem.errors()[0]["msg"]
            raise RecordError(
                f"{path}, line {number}: not a line of metrics: {reason}",
                remedy="Bring the file back as the run wrote it, or leave this run out.",
            ) from None
        told = course.epochs if line.event == "epoch" else course.train
        told.append({"epoch": line.epoch, "step": line.step, **(line.model_extra or {})})
    return course


def _last_lines(path: Path) -> list[bytes]:
    """Return the last lines of metrics; one that is being written at the moment does not count."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        *lines, _rest = file.read().split(b"\n")
    return lines if size <= _TAIL_BYTES else lines[1:]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise RecordError(f"{path}: cannot be read: {problem}", remedy="Name the folder of a run.") from None
