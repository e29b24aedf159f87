"""Training curves of a run over steps, epochs and hours, reduced to as many points as a screen shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MetricLines = Sequence[Mapping[str, float]]
"""Lines of metrics: numbers by name, with `epoch` and `step`."""


MAX_POINTS = 1_000
"""Most points of a curve: a screen shows no more."""
DIGITS = 6
"""Significant digits of a number on a page: enough for a million steps."""

_TRAIN_KEYS = {"loss": "loss", "lr": "lr", "rate": "clips_per_s", "memory": "memory_gb"}
_EPOCH_KEYS = {"loss": "loss", "top1": "test_top1", "top5": "test_top5"}

Floats = NDArray[np.float64]


def training_curves(train: MetricLines, epochs: MetricLines) -> dict[str, Any]:
    """Return the curves of a run for its page.

    Lines of training steps have a step; lines of epochs also have a time. Between the ends of epochs, and after the
    last one, steps count as equally long. Before the end of the first epoch, epochs are None.

    Args:
        train: lines of some steps each; more than `MAX_POINTS` of them are averaged, several to a point.
        epochs: lines of one epoch each.

    Returns:
        `train` and `epochs`, each with lists `step`, `epoch`, `hours` and the metrics; and `together`, how many lines
        one point of `train` stands for.
    """
    together = -(-len(train) // MAX_POINTS) or 1
    step = _column(train, "step")
    steps = {
        "step": step,
        "epoch": _interpolate_over_steps(step, epochs, "epoch"),
        "hours": _hours(step, train, epochs),
    }
    ends = {
        "step": _column(epochs, "step"),
        "epoch": _column(epochs, "epoch"),
        "hours": _column(epochs, "seconds") / 3600,
    }
    measured = {name: _downsample(_column(train, key), together, name == "memory") for name, key in _TRAIN_KEYS.items()}
    return {
        "together": together,
        "train": {
            name: to_json_numbers(values)
            for name, values in {**_last_of_each_group(steps, together), **measured}.items()
        },
        "epochs": {name: to_json_numbers(values) for name, values in {**ends, **_columns(epochs)}.items()},
    }


def to_json_numbers(values: Floats) -> list[float | None]:
    """Return numbers with `DIGITS` digits, None for one that is not finite."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]


def _columns(epochs: MetricLines) -> dict[str, Floats]:
    return {name: _column(epochs, key) for name, key in _EPOCH_KEYS.items()}


def _column(lines: MetricLines, key: str) -> Floats:
    return np.array([line.get(key, np.nan) for line in lines], dtype=np.float64)


def _interpolate_over_steps(step: Floats, epochs: MetricLines, key: str) -> Floats:
    """Return a quantity (epochs or seconds) at each step, interpolated between its values at the ends of epochs."""
    if not epochs:
        return np.full(len(step), np.nan)
    knots, values = np.append(0, _column(epochs, "step")), np.append(0, _column(epochs, key))
    slope = (values[-1] - values[-2]) / max(knots[-1] - knots[-2], 1)
    interpolated: Floats = np.interp(step, knots, values) + np.maximum(step - knots[-1], 0) * slope
    return interpolated


def _hours(step: Floats, train: MetricLines, epochs: MetricLines) -> Floats:
    if epochs:
        return _interpolate_over_steps(step, epochs, "seconds") / 3600
    return np.cumsum(_column(train, "step_s") * np.diff(step, prepend=0)) / 3600


def _downsample(values: Floats, together: int, highest: bool) -> Floats:
    """Return the mean, or the highest, of each group of `together` values."""
    starts = np.arange(0, len(values), together)
    if highest or not len(values):
        return np.maximum.reduceat(values, starts) if len(values) else values
    counts = np.diff(starts, append=len(values))
    means: Floats = np.add.reduceat(values, starts) / counts
    return means


def _last_of_each_group(columns: dict[str, Floats], together: int) -> dict[str, Floats]:
    """Return the last of each group of `together` values."""
    length = len(columns["step"])
    last = np.minimum(np.arange(together - 1, length + together - 1, together), length - 1)
    return {name: values[last] for name, values in columns.items()}


def shortest_unique_paths(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the shortest ends of paths that differ from each other.

    Args:
        paths: the parts of each path.
    """
    for length in range(1, max((len(parts) for parts in paths), default=1) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if len(set(names)) == len(names):
            return names
    return ["/".join(parts) for parts in paths]
