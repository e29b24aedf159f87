"""Equations 2 to 6 of the paper in NumPy: motion, its intensity, and motion-aware masking.

They are the reference that tests hold the trainer's torch code and the viewer's script to. Motion and intensity are
computed row by row over packed clips; a row is one frame of one body. R rows, V joints, T frames of a sample, Te = T/l
segments, and L = Te·V tokens in the order (segment, joint).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.store import MotionSpec

FloatT = TypeVar("FloatT", np.float32, np.float64)
Floats = NDArray[np.float64]

EPSILON = 1e-10
"""The authors' guard against divisions by zero and logarithms of zero in equations 5 and 6."""
_BLOCK_ROWS = 1_024
"""Rows of a block, so that intermediate results stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class RowIndex:
    """The frame of each of R packed rows within its body.

    Attributes:
        frame: (R,) int64, 0-based.
        frames: (R,) int64, how many frames the body has.
    """

    frame: NDArray[np.int64]
    frames: NDArray[np.int64]


def index_rows(frames: NDArray[np.integer], bodies: NDArray[np.integer]) -> RowIndex:
    """Index the rows of clips, each stored body after body.

    Args:
        frames: (N,) frames of each clip.
        bodies: (N,) bodies of each clip.
    """
    track_frames = np.repeat(frames.astype(np.int64), bodies)
    starts = np.cumsum(track_frames) - track_frames
    rows = np.arange(track_frames.sum(), dtype=np.int64)
    return RowIndex(rows - np.repeat(starts, track_frames), np.repeat(track_frames, track_frames))


def compute_motion(joints: NDArray[FloatT], index: RowIndex, stride: int) -> NDArray[FloatT]:
    """Return the difference to the frame `stride` later (eq. 2), zero in a body's last frames (eq. 3).

    Args:
        joints: (R, V, 3) metres.
        index: of the R rows.
        stride: m of eq. 2.

    Returns:
        (R, V, 3) of the type of `joints`, metres.
    """
    motion = np.zeros_like(joints)
    np.subtract(joints[stride:], joints[:-stride], out=motion[:-stride])
    motion[index.frame + stride >= index.frames] = 0.0
    return motion


def compute_intensity(joints: NDArray[FloatT], index: RowIndex, segment: int) -> NDArray[FloatT]:
    """Return the mean absolute difference to the frame one segment earlier (eq. 4).

    The mean over a segment's rows is eq. 4's intensity of that segment. A body's first `segment` rows repeat
    the next `segment` (eq. 3, replicate padding); rows of bodies too short for either are zero.

    Args:
        joints: (R, V, 3) metres.
        index: of the R rows.
        segment: l of eq. 4.

    Returns:
        (R, V) of the type of `joints`, metres.
    """
    intensity = np.zeros(joints.shape[:2], dtype=joints.dtype)
    for start in range(segment, len(joints), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        difference = np.abs(joints[block] - joints[start - segment : block.stop - segment][: len(joints) - start])
        # Summed by hand: the same float32 result on every platform, so that `verify` can demand equality.
        np.add(difference[..., 0], difference[..., 1], out=intensity[block])
        intensity[block] += difference[..., 2]
        intensity[block] /= joints.dtype.type(3)
    early = index.frame < segment
    intensity[early] = 0
    first = np.flatnonzero(early & (index.frame + segment < index.frames))
    intensity[first] = intensity[first + segment]
    return intensity


def row_arrays(
    joints: NDArray[np.float32], frames: NDArray[np.integer], bodies: NDArray[np.integer], spec: MotionSpec
) -> dict[str, NDArray[np.float32]]:
    """Return a store's row arrays of whole clips: joints, motion and intensity, each (R, V, ...).

    Args:
        joints: (R, V, 3) metres, clips packed body after body.
        frames: (N,) frames of each clip.
        bodies: (N,) bodies of each clip.
        spec: stride and segment.
    """
    index = index_rows(frames, bodies)
    return {
        "joints": joints,
        "motion": compute_motion(joints, index, spec.stride),
        "intensity": compute_intensity(joints, index, spec.segment),
    }


def mean_intensity(
    joints: NDArray[np.float32], frames: NDArray[np.int64], bodies: NDArray[np.int64], segment: int
) -> NDArray[np.float32]:
    """Return each clip's mean intensity over its real bodies, frames and joints.

    Args:
        joints: (R, V, 3) metres, clips packed body after body.
        frames: (N,) frames of each clip.
        bodies: (N,) bodies of each clip.
        segment: l of eq. 4.

    Returns:
        (N,) float32, metres.
    """
    intensity = compute_intensity(joints, index_rows(frames, bodies), segment)
    stops = np.cumsum(frames * bodies)
    starts = stops - frames * bodies
    means = [intensity[start:stop].mean(dtype=np.float64) for start, stop in zip(starts, stops, strict=True)]
    return np.array(means, dtype=np.float32)


def token_intensity(sample_TVC: NDArray[np.floating], segment: int) -> Floats:
    """Return the mean absolute difference of each token from the segment before (eq. 4); the first copies the second.

    Args:
        sample_TVC: (T, V, 3) metres, T a multiple of `segment` and at least twice as much.
        segment: l.

    Returns:
        (Te, V) metres.
    """
    frames, joints, _ = sample_TVC.shape
    rows = compute_intensity(sample_TVC.astype(np.float64), index_rows(np.array([frames]), np.array([1])), segment)
    return np.asarray(rows.reshape(frames // segment, segment, joints).mean(axis=1), dtype=np.float64)


def masking_probability(intensity: Floats, temperature: float) -> Floats:
    """Return the probability of each token to be masked first (eq. 5): a softmax over all tokens, (Te, V), sum 1."""
    weights = np.exp(intensity / (intensity.max() * temperature + EPSILON))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def sample_mask(intensity: Floats, u: Floats, spec: MaskingSpec) -> NDArray[np.bool_]:
    """Return which tokens a draw masks (eq. 6): all but the int(L · (1 − ratio)) of the smallest scores.

    Args:
        intensity: (Te, V), from `token_intensity`.
        u: (Te, V) drawn from U(0, 1).
        spec: ratio and τ.

    Returns:
        (Te, V), true where masked.
    """
    score = np.log(masking_probability(intensity, spec.temperature)) - np.log(-np.log(u + EPSILON) + EPSILON)
    kept = int(score.size * (1 - spec.ratio))
    masked = np.ones(score.size, dtype=np.bool_)
    masked[np.argsort(score, axis=None, kind="stable")[:kept]] = False
    return masked.reshape(score.shape)
