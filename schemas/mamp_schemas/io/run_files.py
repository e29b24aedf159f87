"""The files of a run's folder: their names, finding the folders of runs, and reading what a run has left.

RUN/ holds `recipe.yaml` (the resolved recipe), `metrics.jsonl` (losses and accuracies), `checkpoints/`, and, of a
complete run, `run.json` (the record) and `analysis.json` (confusions, features and predictions for reports).
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from mamp_schemas.errors import RecordError
from mamp_schemas.io.regular_files import RECORD_BYTES, SETTINGS_BYTES, open_regular, read_regular, read_regular_text
from mamp_schemas.models.base import parse_yaml
from mamp_schemas.models.plain_data import load_json
from mamp_schemas.models.results import RunRecord
from mamp_schemas.models.sealed import parse_sealed_json

if TYPE_CHECKING:
    from mamp_schemas.models.analysis import RunAnalysis

UNTRAINED = "untrained"
"""The name of an encoder with initial weights."""

RECIPE_FILE = "recipe.yaml"
RECORD_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
ANALYSIS_FILE = "analysis.json"
CHECKPOINTS_FOLDER = "checkpoints"
WEIGHTS_FILE, META_FILE = "model.safetensors", "meta.json"
"""Files of a checkpoint: its weights, and the digests of its files."""

TOP1, TOP5 = "test_top1", "test_top5"
"""The keys of test accuracy in metrics, in percent."""

_CHECKPOINT_NAME = re.compile(r"step-\d{8}")
_TAIL_BYTES = 2**16
"""Bytes read from the end of metrics.jsonl: hundreds of lines."""
_REMEDY = "Use the version of mampctl that wrote it; else bring the file back, or train again in another folder."

RunState = Literal["complete", "incomplete", "damaged"]
"""A run has its record; has none yet; or has a record that cannot be read."""


@dataclass(frozen=True)
class Run:
    """The folder of a run.

    Attributes:
        record: None if the run is not complete.
        problem: why the record cannot be read; empty if it can, or if there is none yet.
    """

    folder: Path
    record: RunRecord | None = None
    problem: str = ""

    @property
    def state(self) -> RunState:
        """Whether it is complete."""
        return "complete" if self.record else "damaged" if self.problem else "incomplete"


class _MetricsLine(BaseModel):
    """A line of metrics: its epoch and step, and numbers by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    event: str
    epoch: int
    step: int


class RunProgress(NamedTuple):
    """How far a run has come.

    Attributes:
        epoch, step: of the last line of metrics; the epoch may not be over.
        measured: the numbers of the last finished epoch by name: mean loss, accuracies; empty before the first.
    """

    epoch: int
    step: int
    measured: dict[str, float]


class TrainingCurve(NamedTuple):
    """All metrics of a run so far: numbers by name, `epoch` and `step` among them, in order.

    Attributes:
        train: one entry for some steps each.
        epochs: one entry for each finished epoch.
    """

    train: list[dict[str, float]]
    epochs: list[dict[str, float]]


def holds_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, complete or not."""
    return any((folder / name).is_file() for name in (RECIPE_FILE, RECORD_FILE))


def read_run(folder: Path) -> Run:
    """Return the run of a folder that holds one; a record that cannot be read is not an error."""
    if not (folder / RECORD_FILE).exists():
        return Run(folder)
    try:
        return Run(folder, read_record(folder))
    except RecordError as problem:
        return Run(folder, problem=problem.message)


def read_runs(roots: Iterable[Path]) -> list[Run]:
    """Return the runs in and below some folders, sorted by folder; a record that cannot be read is not an error."""
    return [read_run(folder) for folder in sorted({folder for root in roots for folder in _run_folders(root)})]


def _run_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of runs below a root. Runs do not nest; hidden folders are left out."""
    for folder, below, files in os.walk(root):
        is_run = not {RECIPE_FILE, RECORD_FILE}.isdisjoint(files)
        if is_run:
            yield Path(folder)
        below[:] = [] if is_run else [name for name in below if not name.startswith(".")]


def read_record(folder: Path) -> RunRecord:
    """Read the record of a complete run.

    Raises:
        RecordError: it is missing, edited or damaged, has an unknown field or is of another format; names the keys.
    """
    path = folder / RECORD_FILE
    return parse_sealed_json(RunRecord, read_run_text(path).encode(), str(path), RecordError, _REMEDY)


def unused_run_dir(run: Path) -> Path:
    """Return the first of RUN, RUN-2, RUN-3 and so on that does not exist, for a new run."""
    others = (Path(f"{run}-{number}") for number in count(2))
    return next(folder for folder in chain([run], others) if not os.path.lexists(folder))


def read_recipe_data(folder: Path) -> dict[str, Any]:
    """Return the recipe that a run began with, as plain data.

    Raises:
        RecordError: it is missing or unreadable.
        ConfigError: it is not YAML.
    """
    path = folder / RECIPE_FILE
    return parse_yaml(read_run_text(path), str(path))


def read_run_progress(folder: Path) -> RunProgress | None:
    """Return how far a run has come, by the end of its metrics; None before the first line or if they are damaged."""
    try:
        lines = [_MetricsLine.model_validate_json(line) for line in _last_lines(folder / METRICS_FILE)]
    except (OSError, ValidationError):
        return None
    if not lines:
        return None
    finished = next((line for line in reversed(lines) if line.event == "epoch"), None)
    return RunProgress(lines[-1].epoch, lines[-1].step, dict(finished.model_extra or {}) if finished else {})


def read_curve(folder: Path, *, complete: bool = False, digest: str | None = None) -> TrainingCurve:
    """Return all metrics of a run so far; an unfinished last line is left out.

    Args:
        folder: the run's folder.
        complete: whether the run is over: then its metrics must be there, and end with a whole line.
        digest: the sha256 of the file, as the run's record has it.

    Raises:
        RecordError: metrics are damaged, cannot be read, or are not those of the digest; names the line.
    """
    curve = TrainingCurve([], [])
    content = _read_metrics(folder, required=complete)
    *lines, unfinished = content.split(b"\n")
    if complete and unfinished:
        lines.append(unfinished)
    for number, text in enumerate(lines, 1):
        line = _parse_metrics_line(folder, number, text, "leave this run out")
        entries = curve.epochs if line.event == "epoch" else curve.train
        entries.append({"epoch": line.epoch, "step": line.step, **(line.model_extra or {})})
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise RecordError(
            f"{folder / METRICS_FILE}: not as the run wrote it: its sha256 is not that in {RECORD_FILE}",
            remedy="Bring the file back, or remove it: reports then show the run without its curves.",
        )
    return curve


def metrics_sha256(folder: Path) -> str:
    """Return the sha256 of a run's metrics, for its record.

    Raises:
        RecordError: they cannot be read.
    """
    return hashlib.sha256(_read_metrics(folder, required=False)).hexdigest()


def has_metrics(folder: Path) -> bool:
    """Return whether there are metrics of a run: none are there if the file was removed."""
    path = folder / METRICS_FILE
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


def read_metrics_lines(folder: Path, count: int) -> list[bytes]:
    """Return the first lines of a run's metrics, each with its end; fewer where the file has fewer.

    Args:
        folder: the run's folder.
        count: the most lines to return.

    Raises:
        RecordError: metrics cannot be read, or one of these lines is damaged; names it.
    """
    lines = _read_metrics(folder, required=False).split(b"\n")[:-1][:count]
    for number, text in enumerate(lines, 1):
        _parse_metrics_line(folder, number, text, f"remove {METRICS_FILE}: the run's curves then begin here")
    return [text + b"\n" for text in lines]


def _read_metrics(folder: Path, *, required: bool) -> bytes:
    path = folder / METRICS_FILE
    if not required and not path.exists():
        return b""
    try:
        return read_regular(path, RECORD_BYTES)
    except OSError as problem:
        raise RecordError(f"{path}: cannot be read: {problem.strerror}", remedy="Name the folder of a run.") from None


def _parse_metrics_line(folder: Path, number: int, text: bytes, otherwise: str) -> _MetricsLine:
    try:
        return _MetricsLine.model_validate_json(text)
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"]
        raise RecordError(
            f"{folder / METRICS_FILE}, line {number}: not a line of metrics: {reason}",
            remedy=f"Bring the file back as the run wrote it, or {otherwise}.",
        ) from None


def read_analysis(folder: Path) -> "RunAnalysis | None":
    """Return the analysis of a run's network, None if the run has none.

    Raises:
        RecordError: it is edited or damaged, or of another format; names the keys.
    """
    path = folder / ANALYSIS_FILE
    if not path.exists():
        return None
    from mamp_schemas.models.analysis import RunAnalysis  # imports numpy

    remedy = f"Make it again: mampctl analyse {quote(str(folder))}"
    return parse_sealed_json(RunAnalysis, read_run_text(path).encode(), str(path), RecordError, remedy)


def analysis_problem(folder: Path, analysis: "RunAnalysis") -> str:
    """Return why an analysis does not belong to a run's present weights; empty if it does, or if there are none."""
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None or weights_sha256(checkpoint) in (None, analysis.weights):
        return ""
    return (
        f"{ANALYSIS_FILE} was made from other weights ({analysis.checkpoint}) than the run's latest checkpoint has "
        f"({checkpoint.name}); make it again: mampctl analyse {quote(str(folder))}"
    )


def latest_checkpoint(run: Path) -> Path | None:
    """Return the folder of a run's latest checkpoint, None before the first."""
    checkpoints = list_checkpoints(run)
    return checkpoints[-1] if checkpoints else None


def checkpoint_name(step: int) -> str:
    """Return the name of the folder of a step's checkpoint."""
    return f"step-{step:08d}"


def is_checkpoint_name(name: str) -> bool:
    """Return whether a folder's name is that of a checkpoint."""
    return _CHECKPOINT_NAME.fullmatch(name) is not None


def list_checkpoints(run: Path) -> list[Path]:
    """Return the folders of a run's checkpoints, from the first step to the last."""
    folder = run / CHECKPOINTS_FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if is_checkpoint_name(entry.name))


def weights_sha256(checkpoint: Path) -> str | None:
    """Return the sha256 of a checkpoint's file of weights, as its meta.json has it; None if that cannot be read."""
    try:
        return str(load_json(read_regular(checkpoint / META_FILE, SETTINGS_BYTES))["files"][WEIGHTS_FILE])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_run_text(path: Path) -> str:
    """Return the text of a run's file.

    Raises:
        RecordError: it is missing or unreadable.
    """
    try:
        return read_regular_text(path, RECORD_BYTES)
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise RecordError(f"{path}: cannot be read: {reason}", remedy="Name the folder of a run.") from None


def _last_lines(path: Path) -> list[bytes]:
    """Return the last lines of metrics; an unfinished last line is left out."""
    if not path.exists():
        return []
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        *lines, _unfinished = file.read().split(b"\n")
    return lines if size <= _TAIL_BYTES else lines[1:]
