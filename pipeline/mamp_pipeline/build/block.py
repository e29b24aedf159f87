"""A shard's rows: the clips that reach into it, put together from pieces, with their motion and intensity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import compute_intensity, compute_motion, index_rows
from mamp_pipeline.store.layout import RowRange
from mamp_pipeline.store.piece import StagedPart
from mamp_schemas.motion import MotionSpec


@dataclass(frozen=True, slots=True)
class _WholeClips:
    """Whole clips that follow each other: their rows, the first one's place in the store, frames and bodies."""

    joints: NDArray[np.float32]
    first: int
    frames: NDArray[np.int64]
    bodies: NDArray[np.int64]


def assemble_rows(
    pieces: Sequence[tuple[StagedPart, int]], rows: RowRange, motion: MotionSpec
) -> dict[str, NDArray[np.float32]]:
    """Return the row arrays of a range of the store.

    Args:
        pieces: in order, those that hold the rows, each with its first row in the store.
        rows: the range.
        motion: how motion and intensity are computed.
    """
    runs = [_clips_in_range(piece, first, rows) for piece, first in pieces]
    joints = np.concatenate([run.joints for run in runs])
    places = index_rows(np.concatenate([run.frames for run in runs]), np.concatenate([run.bodies for run in runs]))
    inside = slice(rows.start - runs[0].first, rows.stop - runs[0].first)
    return {
        "joints": joints[inside],
        "motion": compute_motion(joints, places, motion.stride)[inside],
        "intensity": compute_intensity(joints, places, motion.segment)[inside],
    }


def _clips_in_range(piece: StagedPart, first: int, rows: RowRange) -> _WholeClips:
    """Cut out the clips that have rows in the range: motion and intensity need them whole."""
    if piece.joints is None:
        raise ValueError("only the table of the piece was read")
    frames, bodies = piece.columns["frames"], piece.columns["bodies"]
    stops = first + np.cumsum(frames * bodies)
    starts = stops - frames * bodies
    low = int(np.searchsorted(stops, rows.start, side="right"))
    high = int(np.searchsorted(starts, rows.stop, side="left"))
    start, stop = int(starts[low]), int(stops[high - 1])
    return _WholeClips(piece.joints[start - first : stop - first], start, frames[low:high], bodies[low:high])
