"""The report of training runs as one HTML page, with curves, confusion, features and predicted motion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.curves import MetricLines, to_json_numbers, training_curves
from mamp_pipeline.report.html import embed_json, pack_skeleton, quantise, render_runs_page
from mamp_pipeline.report.projection import project_features
from mamp_schemas.io.atomic import write_file
from mamp_schemas.models.skeleton import Skeleton


class ConfusedPair(NamedTuple):
    """A class taken for another one: `clips` of its clips, `share` of all of them in percent."""

    label: int
    taken_for: int
    clips: int
    share: float


@dataclass(frozen=True)
class ConfusionReport:
    """Which classes are taken for which.

    Attributes:
        source: whose scores they are, and of which clips.
        names: of the K classes.
        matrix: (K, K) clips of each class (rows) taken for each class.
        accuracy: (K,) percent of each class's clips that are recognised, NaN where there is none.
        pairs: the hardest pairs, hardest first.
    """

    source: str
    names: Sequence[str]
    matrix: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    pairs: Sequence[ConfusedPair]


@dataclass(frozen=True)
class ClipFeatures:
    """What an encoder makes of clips.

    Attributes:
        source: whose features they are, and of which clips.
        names: of the K classes.
        clips: N names.
        label: (N,) class.
        values: (N, D).
    """

    source: str
    names: Sequence[str]
    clips: Sequence[str]
    label: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class MaskedReconstruction:
    """A body of a clip, some of its tokens hidden, and what was predicted there.

    T frames, V joints, segments of l frames.

    Attributes:
        clip: its name.
        label: its class's name.
        body: which one, from 1.
        joints: (T, V, 3) positions, metres.
        truth: (T, V, 3) the target, metres.
        predicted: (T, V, 3) the prediction in metres; only where hidden does it mean anything.
        hidden: (T/l, V) true where hidden.
        error: the loss on it.
    """

    clip: str
    label: str
    body: int
    joints: NDArray[np.float32]
    truth: NDArray[np.float32]
    predicted: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    error: float


@dataclass(frozen=True)
class ReconstructionReport:
    """What a pre-training predicts of hidden tokens.

    Attributes:
        source: of which clips, masked how.
        target: `motion` or `joint`.
        normalised: whether tokens were predicted without their mean and size, which are then the truth's.
        skeleton: of the joints.
        examples: clips.
    """

    source: str
    target: str
    normalised: bool
    skeleton: Skeleton
    examples: Sequence[MaskedReconstruction]


@dataclass(frozen=True)
class RunReport:
    """A run.

    What is missing of it is a text that says why, and what makes it.

    Attributes:
        name: tells it from the others.
        path: its folder.
        state: complete, incomplete or damaged.
        settings: its recipe, as plain data.
        differs: what of its recipe is not as in the other runs of its task, `key value`.
        outcome: how far it has come and what came out: `epochs`, `last_loss`, `last_top1`, `best_top1`, `seconds`;
            what is not known is None.
        device: what it ran on, empty where it is not known.
        train: lines of some steps each.
        epochs: lines of an epoch each.
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
    confusion: ConfusionReport | str = ""
    features: ClipFeatures | str = ""
    predictions: ReconstructionReport | str = ""
    notes: Sequence[str] = ()


MAX_PAIRS = 500
PAGE_POINTS = 16_000
"""Points of projections on a page, of all its runs."""
RUN_POINTS = 2_000
"""Points of one projection: a browser draws more of them slowly."""
PREDICTION_BYTES = 2_000_000
"""What the predictions of all runs may take of a page's 10 MB."""


def confusion_data(confusion: ConfusionReport) -> dict[str, Any]:
    """Return the confusion matrix and what is read off it."""
    return {
        "source": confusion.source,
        "names": list(confusion.names),
        "matrix": confusion.matrix.tolist(),
        "accuracy": to_json_numbers(confusion.accuracy),
        "pairs": [list(pair) for pair in confusion.pairs[:MAX_PAIRS]],
        "allPairs": len(confusion.pairs),
    }


def features_data(features: ClipFeatures, runs: int) -> dict[str, Any]:
    """Return projections of features; of many clips, evenly chosen ones are shown.

    Args:
        features: of one run.
        runs: how many runs share the page.
    """
    projections, absent = project_features(features.values)
    shown = np.unique(np.linspace(0, len(features.clips) - 1, _num_points(len(features.clips), runs)).astype(np.int64))
    return {
        "source": features.source,
        "total": len(features.clips),
        "names": list(features.names),
        "clips": [features.clips[place] for place in shown.tolist()],
        "label": features.label[shown].tolist(),
        "absent": absent,
        "projections": [
            {
                "title": each.title,
                "axes": each.axes,
                "x": to_json_numbers(each.points[shown, 0]),
                "y": to_json_numbers(each.points[shown, 1]),
            }
            for each in projections
        ],
    }


def reconstruction_data(predictions: ReconstructionReport, runs: int) -> dict[str, Any]:
    """Return as many examples as one of so many runs has room for, at least one."""
    packed: list[dict[str, Any]] = []
    left = PREDICTION_BYTES // runs
    for example in predictions.examples:
        one = _pack_reconstruction(example)
        left -= len(embed_json(one))
        if left < 0 and packed:
            break
        packed.append(one)
    return {
        "source": predictions.source,
        "target": predictions.target,
        "normalised": predictions.normalised,
        "skeleton": pack_skeleton(predictions.skeleton),
        "examples": packed,
    }


def _num_points(clips: int, runs: int) -> int:
    return min(clips, RUN_POINTS, max(PAGE_POINTS // runs, 1))


def _pack_reconstruction(example: MaskedReconstruction) -> dict[str, Any]:
    frames = len(example.joints)
    hidden = np.repeat(example.hidden, frames // len(example.hidden), axis=0)[:, :, None]
    return {
        "clip": example.clip,
        "label": example.label,
        "body": example.body,
        "frames": frames,
        "segment": frames // len(example.hidden),
        "error": float(f"{example.error:.4g}"),
        "hidden": example.hidden.astype(int).ravel().tolist(),
        "joints": _quantised(example.joints),
        "truth": _quantised(example.truth),
        "predicted": _quantised(np.where(hidden, example.predicted, 0)),
    }


def _quantised(values: NDArray[np.float32]) -> dict[str, Any]:
    extent, packed = quantise(values)
    return {"extent": extent, "values": packed}


def write_runs_page(runs: Sequence[RunReport], out: Path) -> int:
    """Write a report of runs as one HTML file; return its bytes.

    Args:
        runs: at least one.
        out: the file; one that is there is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    return write_file(out, render_runs_page(f"report of {title}", runs_page_data(runs)).encode(), make_parents=True)


def runs_page_data(runs: Sequence[RunReport]) -> dict[str, Any]:
    """Return the page's data."""
    return {"runs": [_run_data(run, len(runs)) for run in runs]}


def _run_data(run: RunReport, runs: int) -> dict[str, Any]:
    confusion, features, predictions = run.confusion, run.features, run.predictions
    return {
        "name": run.name,
        "path": run.path,
        "state": run.state,
        "kind": run.settings.get("kind", "unknown"),
        "recipe": run.settings.get("name", ""),
        "dataset": run.settings.get("dataset", ""),
        "protocol": run.settings.get("protocol", ""),
        "differs": list(run.differs),
        "outcome": dict(run.outcome),
        "device": run.device,
        "notes": list(run.notes),
        **training_curves(run.train, run.epochs),
        "confusion": {"missing": confusion} if isinstance(confusion, str) else confusion_data(confusion),
        "features": {"missing": features} if isinstance(features, str) else features_data(features, runs),
        "predictions": (
            {"missing": predictions} if isinstance(predictions, str) else reconstruction_data(predictions, runs)
        ),
    }
