"""What makes a clip suspicious: jumping joints, standing still, bones that change their length. Pure.

All functions take packed rows: R rows are the frames of bodies, clip after clip, body after body within a clip.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import RowIndex

JUMP_METRES = 0.5
"""A step this long between two frames, 15 m/s at 30 frames/s, is no movement of a hand or foot."""
JUMP_RATIO = 5.0
"""A jump is also this many times the median of the joint's steps around it: fast movement is fast for longer."""
JUMP_WINDOW = 3
"""Steps before and after a step that count as around it."""
STILL_METRES = 1e-4
"""A sensor's noise moves joints by more than this from frame to frame; a repeated frame does not."""
MIN_BONE_METRES = 0.1
"""Bones shorter than this, hands and thumbs, are within the sensor's noise and not measured."""
BONE_QUANTILES = (0.05, 0.95)
"""Quantiles of a bone's length over time, between which it is taken to spread."""


@dataclass(frozen=True, slots=True)
class Jumps:
    """J steps that are too long to be movement.

    Attributes:
        row: (J,) int64, the row before the step, ascending.
        joint: (J,) int64.
        metres: (J,) float32, the step's length.
    """

    row: NDArray[np.int64]
    joint: NDArray[np.int64]
    metres: NDArray[np.float32]


def visible_rows(joints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (R,) which rows (R, V, 3) hold a body: not all zeros."""
    return np.asarray(joints.any(axis=(1, 2)), dtype=np.bool_)


def step_lengths(joints: NDArray[np.float32], places: RowIndex) -> NDArray[np.float32]:
    """Return how far each joint moves to the next frame of its body.

    Args:
        joints: (R, V, 3) metres.
        places: of the R rows.

    Returns:
        (R, V) metres; NaN in a body's last frame, and where the body is not seen (all zeros) before or after.
    """
    steps = np.full(joints.shape[:2], np.nan, dtype=np.float32)
    difference = joints[1:] - joints[:-1]
    steps[:-1] = _norms(difference)
    seen = visible_rows(joints)
    steps[:-1][~(seen[1:] & seen[:-1])] = np.nan
    steps[places.frame + 1 >= places.frames] = np.nan
    return steps


def find_jumps(steps: NDArray[np.float32], places: RowIndex) -> Jumps:
    """Find joints that teleport: steps over `JUMP_METRES` and `JUMP_RATIO` times the median of those around.

    The median is taken over a joint's steps from `JUMP_WINDOW` before to as many after, the step itself included,
    so neither a fast movement, which has several long steps in a row, nor the way back of a short glitch hides it.

    Args:
        steps: (R, V) metres, from `measure_steps`.
        places: of the R rows.
    """
    row, joint = np.nonzero(steps > JUMP_METRES)
    offsets = np.arange(-JUMP_WINDOW, JUMP_WINDOW + 1)
    frame = places.frame[row, None] + offsets
    inside = (frame >= 0) & (frame < places.frames[row, None])
    around = steps[np.where(inside, row[:, None] + offsets, row[:, None]), joint[:, None]]
    median = np.nanmedian(np.where(inside, around, np.nan), axis=1)
    metres = steps[row, joint]
    jumps = metres > JUMP_RATIO * median
    return Jumps(row[jumps], joint[jumps], metres[jumps])


def still_fraction(steps: NDArray[np.float32], row_clip: NDArray[np.int64], clips: int) -> NDArray[np.float64]:
    """Return the share of each clip's steps in which no joint moves by more than `STILL_METRES`.

    Args:
        steps: (R, V) metres, from `measure_steps`.
        row_clip: (R,) the clip of each row.
        clips: how many clips there are.

    Returns:
        (clips,); 1 for a clip without any step: a single frame, or nobody seen.
    """
    known = ~np.isnan(steps[:, 0])
    still = known & ~(steps > STILL_METRES).any(axis=1)
    total = np.bincount(row_clip, weights=known, minlength=clips)
    return np.where(total > 0, np.bincount(row_clip, weights=still, minlength=clips) / np.maximum(total, 1), 1.0)


def bone_lengths(joints: NDArray[np.float32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the distance of each joint (R, V, 3) from its parent: (R, V) metres, 0 for the root."""
    difference = joints - joints[:, parents]
    return _norms(difference)


def bone_length_change(lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each bone of one body changes its length over time, relative to its median length.

    The spread is that between two quantiles, so a glitch in a few frames, which `find_jumps` finds, does not count.

    Args:
        lengths: (T, V) metres, the frames in which the body is seen.

    Returns:
        (V,); 0 for bones shorter than `BONE_METRES`, the root, and a body that is never seen.
    """
    frames = len(lengths)
    if not frames:
        return np.zeros(lengths.shape[1], dtype=np.float32)
    ordered = np.sort(lengths, axis=0)
    low, high = (ordered[round(share * (frames - 1))] for share in BONE_QUANTILES)
    median = ordered[(frames - 1) // 2]
    long = median >= MIN_BONE_METRES
    return np.where(long, (high - low) / np.where(long, median, 1), 0).astype(np.float32)


def _norms(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(np.einsum("rvc,rvc->rv", vectors, vectors)), dtype=np.float32)
