"""What a report shows of a single run, as data for its page: confusion, features, predicted motion. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.curves import to_json_numbers
from mamp_pipeline.report.payload import embed_json, quantise, pack_skeleton
from mamp_pipeline.report.projection import project_features
from mamp_pipeline.report.run_data import ConfusionReport, ClipFeatures, MaskedReconstruction, ReconstructionReport

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
