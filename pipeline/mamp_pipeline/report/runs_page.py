"""The report of training runs as one HTML page: curves, confusions, features and predicted motion.

All of it is read from the files in the folders of the runs. T frames, V joints, K classes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.counts import label_name
from mamp_pipeline.report.curves import MetricLines, shortest_unique_paths, to_json_numbers, training_curves
from mamp_pipeline.report.html import embed_json, pack_skeleton, quantise, render_runs_page
from mamp_pipeline.report.projection import project_features
from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.run_files import (
    METRICS_FILE,
    TOP1,
    Run,
    TrainingCurve,
    analysis_problem,
    has_metrics,
    latest_checkpoint,
    read_analysis,
    read_curve,
    read_recipe_data,
    read_run,
    read_run_progress,
)
from mamp_schemas.models.analysis import (
    AnalysisPart,
    ConfusionAnalysis,
    FeatureAnalysis,
    MaskedReconstruction,
    ReconstructionAnalysis,
    RunAnalysis,
)
from mamp_schemas.models.differences import find_differences, flatten, show_value
from mamp_schemas.models.recipe import PRETRAIN

PAGE_POINTS = 16_000
"""Points of projections on a page, of all its runs."""
RUN_POINTS = 2_000
"""Points of one projection: a browser draws more of them slowly."""
RECONSTRUCTION_BYTES = 2_000_000
"""The share of a page's 10 MB that the reconstructions of all runs may take."""

_TITLE_FIELDS = frozenset({"name", "summary"})
"""Fields of a recipe that are titles: a difference in them is not shown."""


@dataclass(frozen=True)
class RunReport:
    """What a run's folder says, as the page shows it.

    Attributes:
        name: the shortest end of the folder's path that no other run's folder has.
        path: its folder.
        state: complete, incomplete or damaged.
        settings: its recipe, as plain data.
        differs: the fields of its recipe that differ from other runs of its task, as `key value`.
        outcome: `epochs`, `last_loss`, `last_top1`, `best_top1` and `seconds`; None if not known.
        device: the device that it was trained on, empty if not known.
        train: lines of metrics of some steps each.
        epochs: lines of metrics of an epoch each.
        analysis: what its network has learned, None if it has no analysis.json.
        unavailable: why it has no analysis, and how to make one.
        notes: what does not fit together.
    """

    name: str
    path: str
    state: str
    settings: Mapping[str, Any]
    differs: Sequence[str] = ()
    outcome: Mapping[str, float | None] = field(default_factory=dict)
    device: str = ""
    train: MetricLines = ()
    epochs: MetricLines = ()
    analysis: RunAnalysis | None = None
    unavailable: str = ""
    notes: Sequence[str] = ()


def read_run_reports(folders: Sequence[Path]) -> list[RunReport]:
    """Read the folders of runs.

    Raises:
        RecordError: a recipe, metrics or an analysis cannot be read; names the file.
        ConfigError: a recipe is not YAML.
    """
    runs = [read_run(folder) for folder in folders]
    settings = [read_recipe_data(folder) for folder in folders]
    names = shortest_unique_paths([folder.resolve().parts for folder in folders])
    differences = _differences_by_run(runs, settings)
    return [_read_report(*run) for run in zip(runs, settings, names, differences, strict=True)]


def _read_report(run: Run, settings: dict[str, Any], name: str, differs: Sequence[str]) -> RunReport:
    digest = run.record.metrics if run.record else None
    gone = digest is not None and not has_metrics(run.folder)
    lost = f"{METRICS_FILE} is gone: the page has no curves of this run" if gone else ""
    curve = TrainingCurve([], []) if gone else read_curve(run.folder, complete=digest is not None, digest=digest)
    analysis = read_analysis(run.folder)
    stale = analysis_problem(run.folder, analysis) if analysis else ""
    return RunReport(
        name=name,
        path=str(run.folder),
        state=run.state,
        settings=settings,
        differs=differs,
        outcome={**_outcome(run), "last_loss": curve.epochs[-1].get("loss") if curve.epochs else None},
        device=run.record.device if run.record else "",
        train=curve.train,
        epochs=curve.epochs,
        analysis=analysis,
        unavailable=_why_unavailable(run.folder),
        notes=[note for note in (run.problem, lost, stale) if note],
    )


def _why_unavailable(folder: Path) -> str:
    if latest_checkpoint(folder) is None:
        return "The run has no checkpoint and no analysis.json."
    return f"The run has no analysis.json: run `mampctl analyse {quote(str(folder))}`"


def _outcome(run: Run) -> dict[str, float | None]:
    """Return how far a run has come and what came out: from its record, else from its metrics."""
    if run.record is not None:
        result = run.record.result.model_dump()
        return {key: result.get(key) for key in ("epochs", "last_top1", "best_top1", "seconds")}
    progress = read_run_progress(run.folder)
    if progress is None:
        return {"epochs": 0}
    measured = progress.measured
    return {"epochs": progress.epoch, "last_top1": measured.get(TOP1), "seconds": measured.get("seconds")}


def _differences_by_run(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return how each run differs from the others of its task: fields of the recipe and the encoder, `key value`."""
    by_task = defaultdict(list)
    for index, recipe in enumerate(settings):
        by_task[recipe.get("kind")].append(index)
    differs: list[list[str]] = [[] for _ in runs]
    for task, indices in by_task.items():
        fields = []
        for index in indices:
            flat = {key: value for key, value in flatten(settings[index]).items() if key not in _TITLE_FIELDS}
            if task != PRETRAIN:
                record = runs[index].record
                flat["encoder"] = record.encoder if record else "not recorded yet"
            fields.append(flat)
        for difference in find_differences(fields):
            for index, value in zip(indices, difference.values, strict=True):
                differs[index].append(f"{difference.key} {show_value(value)}")
    return differs


def write_runs_page(runs: Sequence[RunReport], out: Path) -> int:
    """Write a report of runs as one HTML file; return its bytes.

    Args:
        runs: at least one.
        out: the file; an existing one is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    page = render_runs_page(f"report of {title}", runs_page_data(runs)).encode(errors="backslashreplace")
    return write_file(out, page, make_parents=True)


def runs_page_data(runs: Sequence[RunReport]) -> dict[str, Any]:
    """Return the page's data."""
    return {"runs": [_run_data(run, len(runs)) for run in runs]}


def _run_data(run: RunReport, runs: int) -> dict[str, Any]:
    return {
        "name": run.name,
        "path": run.path,
        "state": run.state,
        "kind": run.settings.get("kind", "unknown"),
        "method": _method(run.settings),
        "recipe": run.settings.get("name", ""),
        "dataset": run.settings.get("dataset", ""),
        "protocol": run.settings.get("protocol", ""),
        "differs": list(run.differs),
        "outcome": dict(run.outcome),
        "device": run.device,
        "notes": list(run.notes),
        **training_curves(run.train, run.epochs),
        **analysis_data(run, runs),
    }


def _method(settings: Mapping[str, Any]) -> str:
    """Return the name of what was trained: the protocol, or `pretrain` with the objective if it is recorded."""
    return " ".join(filter(None, (settings.get("kind", "unknown"), settings.get("objective"))))


def analysis_data(run: RunReport, runs: int) -> dict[str, dict[str, Any]]:
    """Return the parts of a run's analysis, or `missing`: why a part is not there.

    Args:
        run: the run.
        runs: how many runs share the page.
    """
    analysis = run.analysis
    if analysis is None:
        return {part: {"missing": run.unavailable} for part in ("confusion", "features", "reconstruction")}
    titles = analysis.class_titles

    def missing(part: AnalysisPart) -> dict[str, Any]:
        reason = analysis.unavailable.get(part, "")
        return {"missing": f"Not available: {reason}" if reason else ""}

    return {
        "confusion": confusion_data(analysis.confusion, titles) if analysis.confusion else missing("confusion"),
        "features": features_data(analysis.features, titles, runs) if analysis.features else missing("features"),
        "reconstruction": (
            reconstruction_data(analysis.reconstruction, titles, runs)
            if analysis.reconstruction
            else missing("reconstruction")
        ),
    }


_SCORE_SOURCES = {
    "scores": "scores.npz, of the last epoch",
    "checkpoint": "the latest checkpoint: the run has left no scores.npz",
}


def confusion_data(confusion: ConfusionAnalysis, titles: Sequence[str]) -> dict[str, Any]:
    """Return the confusion matrix, the accuracy of each class and the pairs most often confused."""
    return {
        "source": f"{confusion.clips:,} test clips. Scores are those of {_SCORE_SOURCES[confusion.source]}.",
        "names": list(titles),
        "matrix": confusion.matrix.to_numpy().tolist(),
        "accuracy": to_json_numbers(np.array(confusion.accuracy, dtype=np.float64)),
        "pairs": [[pair.label, pair.taken_for, pair.clips, pair.share] for pair in confusion.pairs],
        "allPairs": confusion.num_pairs,
    }


def features_data(features: FeatureAnalysis, titles: Sequence[str], runs: int) -> dict[str, Any]:
    """Return projections of features; of many clips, evenly chosen ones are shown.

    Args:
        features: of one run.
        titles: of the K classes.
        runs: how many runs share the page.
    """
    number = len(features.clips)
    count = f"{number:,} of {features.total:,}" if number < features.total else f"{number:,}"
    projections, absent = project_features(features.features.to_numpy())
    num_points = min(number, RUN_POINTS, max(PAGE_POINTS // runs, 1))
    shown = np.unique(np.linspace(0, number - 1, num_points).astype(np.int64))
    return {
        "source": f"The encoder's output for {count} test clips, mean over bodies, segments and joints.",
        "total": number,
        "names": list(titles),
        "clips": [features.clips[index] for index in shown.tolist()],
        "label": [features.labels[index] for index in shown.tolist()],
        "absent": absent,
        "projections": [
            {
                "title": projection.title,
                "axes": projection.axes,
                "x": to_json_numbers(projection.points[shown, 0]),
                "y": to_json_numbers(projection.points[shown, 1]),
            }
            for projection in projections
        ],
    }


def reconstruction_data(reconstruction: ReconstructionAnalysis, titles: Sequence[str], runs: int) -> dict[str, Any]:
    """Return as many examples as there is room for, at least one.

    Args:
        reconstruction: of one run.
        titles: of the K classes.
        runs: how many runs share the page.
    """
    packed: list[dict[str, Any]] = []
    room = RECONSTRUCTION_BYTES // runs
    for example in reconstruction.examples:
        data = _pack_reconstruction(example, titles)
        room -= len(embed_json(data))
        if room < 0 and packed:
            break
        packed.append(data)
    return {
        "source": "Test clips from slow to fast by mean intensity, cropped as in testing, "
        f"masked as trained ({reconstruction.masking}).",
        "target": reconstruction.target,
        "normalised": reconstruction.normalised,
        "skeleton": pack_skeleton(reconstruction.skeleton),
        "examples": packed,
    }


def _pack_reconstruction(example: MaskedReconstruction, titles: Sequence[str]) -> dict[str, Any]:
    masked, joints = example.masked.to_numpy(), example.joints.to_numpy()
    segment = len(joints) // len(masked)
    masked_TV1 = np.repeat(masked, segment, axis=0)[:, :, None]
    return {
        "clip": example.clip,
        "label": label_name(titles, example.label),
        "body": example.body + 1,
        "frames": len(joints),
        "segment": segment,
        "loss": float(f"{example.loss:.4g}"),
        "masked": masked.astype(int).ravel().tolist(),
        "joints": _quantised(joints),
        "truth": _quantised(example.truth.to_numpy()),
        "predicted": _quantised(np.where(masked_TV1, example.predicted.to_numpy(), 0)),
    }


def _quantised(values: NDArray[np.float32]) -> dict[str, Any]:
    extent, packed = quantise(values)
    return {"extent": extent, "values": packed}
