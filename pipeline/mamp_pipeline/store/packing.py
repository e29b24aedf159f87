"""Row arrays of a range of the store, from the whole clips that have rows in it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import row_arrays
from mamp_pipeline.store.shards import RowRange
from mamp_schemas.models.store import MotionSpec


@dataclass(frozen=True, slots=True)
class WholeClips:
    """Whole consecutive clips.

    Attributes:
        joints: (rows, V, 3).
        first: the row in the store of the first clip.
        frames, bodies: (clips,).
    """

    joints: NDArray[np.float32]
    first: int
    frames: NDArray[np.integer]
    bodies: NDArray[np.integer]


def clips_in_range(starts: NDArray[np.integer], stops: NDArray[np.integer], rows: RowRange) -> slice:
    """Return which clips have rows in a range.

    Args:
        starts: (clips,) first row of each clip, ascending.
        stops: (clips,) row after each clip's last.
        rows: the range.
    """
    first = int(np.searchsorted(stops, rows.start, side="right"))
    return slice(first, int(np.searchsorted(starts, rows.stop, side="left")))


def pack_rows(runs: Sequence[WholeClips], rows: RowRange, motion: MotionSpec) -> dict[str, NDArray[np.float32]]:
    """Return the row arrays of a range of the store: joints, motion and intensity.

    Args:
        runs: every clip that has rows in the range, whole, because motion and intensity need whole clips; each run
            begins where the one before ends.
        rows: the range.
        motion: how motion and intensity are computed.
    """
    joints = np.concatenate([run.joints for run in runs])
    frames, bodies = np.concatenate([run.frames for run in runs]), np.concatenate([run.bodies for run in runs])
    inside = slice(rows.start - runs[0].first, rows.stop - runs[0].first)
    return {name: values[inside] for name, values in row_arrays(joints, frames, bodies, motion).items()}
