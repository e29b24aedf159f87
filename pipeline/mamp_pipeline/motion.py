"""Motion and its intensity, row-wise over packed clips (equations 2 to 4 of the paper). The NumPy reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1_024
"""Rows taken at a time, so that what is computed on the way stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class RowIndex:
    """Where each of R packed rows stands in its body's track.

    Attributes:
        frame: (R,) int64, the row's 0-based frame within its body.
        frames: (R,) int64, the frames of that body.
    """

    frame: NDArray[np.int64]
    frames: NDArray[np.int64]


def index_rows(frames: NDArray[np.integer], bodies: NDArray[np.integer]) -> RowIndex:
    """Lay out the rows of clips stored body after body.

    Args:
        frames: (N,) frames of each clip.
        bodies: (N,) bodies of each clip.
    """
    track_frames = np.repeat(frames.astype(np.int64), bodies)
    starts = np.cumsum(track_frames) - track_frames
    rows = np.arange(track_frames.sum(), dtype=np.int64)
    return RowIndex(rows - np.repeat(starts, track_frames), np.repeat(track_frames, track_frames))


def compute_motion(joints: NDArray[np.float32], index: RowIndex, stride: int) -> NDArray[np.float32]:
    """Return the difference to the frame `stride` later (eq. 2), zero in a body's last frames (eq. 3).

    Args:
        joints: (R, V, 3) metres.
        index: of the R rows.
        stride: m of eq. 2.

    Returns:
        (R, V, 3) float32, metres.
    """
    motion = np.zeros_like(joints)
    np.subtract(joints[stride:], joints[:-stride], out=motion[:-stride])
    motion[index.frame + stride >= index.frames] = 0.0
    return motion


def compute_intensity(joints: NDArray[np.float32], index: RowIndex, segment: int) -> NDArray[np.float32]:
    """Return the mean absolute difference to the frame one segment earlier (eq. 4).

    The mean over a segment's rows is eq. 4's intensity of that segment. A body's first `segment` rows repeat
    the next `segment` (eq. 3, replicate padding); rows of bodies too short for either are zero.

    Args:
        joints: (R, V, 3) metres.
        index: of the R rows.
        segment: l of eq. 4.

    Returns:
        (R, V) float32, metres.
    """
    intensity = np.zeros(joints.shape[:2], dtype=np.float32)
    for start in range(segment, len(joints), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        difference = np.abs(joints[block] - joints[start - segment : block.stop - segment][: len(joints) - start])
        # Summed by hand: the same float32 result on every platform, so that `verify` can demand equality.
        np.add(difference[..., 0], difference[..., 1], out=intensity[block])
        intensity[block] += difference[..., 2]
        intensity[block] /= np.float32(3)
    early = index.frame < segment
    intensity[early] = 0
    first = np.flatnonzero(early & (index.frame + segment < index.frames))
    intensity[first] = intensity[first + segment]
    return intensity


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
