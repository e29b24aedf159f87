"""Counts of clips by class and subject, camera, setup, length or split, and names of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.io.store_reader import Columns
from mamp_schemas.models.store import StoreMetadata

COUNTED_COLUMNS = ("subject", "camera", "setup", "bodies")
"""Columns of which every value is counted."""
FRAME_BINS = 40
INTENSITY_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class CrossTable:
    """Clips by class and one other property.

    Attributes:
        names: the names of the property's values, in order.
        counts: (K + 1, values) int64; the last row counts the clips without a label.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]


def class_names(metadata: StoreMetadata) -> tuple[str, ...]:
    """Return a short name for each class, for axes."""
    return metadata.dataset_spec().class_marks


def label_name(names: Sequence[str], label: int) -> str:
    """Return the name of a label; −1 means no label."""
    return names[label] if label >= 0 else "no label"


def cross_tabulate(
    label: NDArray[np.integer], values: NDArray[np.integer], classes: int, names: dict[int, str] | None = None
) -> CrossTable:
    """Count clips by class and value.

    Args:
        label: (N,) class, −1 where unknown.
        values: (N,) the property.
        classes: K.
        names: the names of some values; others are written as numbers, −1 as `unknown`.
    """
    unique, column = np.unique(values, return_inverse=True)
    counts = np.zeros((classes + 1, len(unique)), dtype=np.int64)
    np.add.at(counts, (label.astype(np.int64), column), 1)
    known = {-1: "unknown", **(names or {})}
    return CrossTable(tuple(known.get(value, str(value)) for value in unique.tolist()), counts)


def cross_tabulate_columns(columns: Columns, classes: int) -> dict[str, CrossTable]:
    """Count clips by class and each of `COUNTED_COLUMNS` that is known for any clip, and by number of frames."""
    label = columns["label"]
    known = [name for name in COUNTED_COLUMNS if (columns[name] >= 0).any()]
    tables = {name: cross_tabulate(label, columns[name].astype(np.int64), classes) for name in known}
    return {**tables, "frames": _cross_tabulate_frames(label, columns["frames"].astype(np.int64), classes)}


def _cross_tabulate_frames(label: NDArray[np.integer], frames: NDArray[np.int64], classes: int) -> CrossTable:
    """Count clips by class and frames, in bins of equal width, empty ones included."""
    if not len(frames):
        return CrossTable((), np.zeros((classes + 1, 0), dtype=np.int64))
    least = int(frames.min())
    width = -(-(int(frames.max()) - least + 1) // FRAME_BINS)
    column = (frames - least) // width
    bins = int(column.max()) + 1
    counts = np.zeros((classes + 1, bins), dtype=np.int64)
    np.add.at(counts, (label.astype(np.int64), column), 1)
    starts = [least + width * number for number in range(bins)]
    return CrossTable(tuple(f"{a}–{a + width - 1}" if width > 1 else str(a) for a in starts), counts)


def intensity_quantiles(
    label: NDArray[np.integer], intensity: NDArray[np.float32], classes: int
) -> NDArray[np.float64]:
    """Return quantiles of the clips' mean intensity for each class.

    Args:
        label: (N,) class, −1 where unknown.
        intensity: (N,) metres.
        classes: K.

    Returns:
        (K + 1, quantiles) metres, the last row of clips without a label; NaN for classes without clips.
    """
    table = np.full((classes + 1, len(INTENSITY_QUANTILES)), np.nan)
    for number in np.unique(label).tolist():
        table[number] = np.quantile(intensity[label == number].astype(np.float64), INTENSITY_QUANTILES)
    return table
