"""Drops tracks that are noise and sorts the others by how much they move (reference.md §2.2)."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.tracks import Track
from mamp_schemas.errors import RawFileError


def sum_variances(points: NDArray[np.float32]) -> np.float32:
    """Return the sum of the variances of x, y and z over (n, 3) positions."""
    return np.float32(choose_sum_variances()(points))


def sum_variances_numpy(points: NDArray[np.float32]) -> np.float32:
    """Return the same by numpy, which takes twenty times longer: its inner loops have three numbers each."""
    return np.float32(np.sum(np.var(points, axis=0)))


@cache
def choose_sum_variances() -> Callable[[NDArray[np.float32]], np.float32]:
    """Return the compiled function, or the one in NumPy if numba is not installed."""
    try:
        from mamp_pipeline.cleaning import jit
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        return sum_variances_numpy
    return jit.sum_variances_compiled


MAX_NOISE_FRAMES = 11
"""Tracks of at most this many frames are noise."""

MAX_WIDTH_TO_HEIGHT = np.float32(0.8)
"""A frame is noisy when the body is wider (x) than this share of its height (y)."""

MIN_NOISY_SHARE = 0.69754
"""A track with at least this share of noisy frames is noise."""


def denoise(tracks: list[Track]) -> list[Track]:
    """Drop the tracks that are noise and sort the others by motion, largest first, stable.

    Args:
        tracks: two or more, in order of first appearance.

    Raises:
        RawFileError: all tracks are short; the authors' scripts crash on such files.
    """
    tracks = [track for track in tracks if len(track.joints) > MAX_NOISE_FRAMES]
    if not tracks:
        raise RawFileError(f"several bodies, none with more than {MAX_NOISE_FRAMES} frames")
    kept = _drop_noisy_tracks(tracks)
    if len(kept) == 1:
        return [kept[0][0]]
    motions = [_denoised_variance(track.joints, noisy) for track, noisy in kept]
    order = sorted(range(len(kept)), key=motions.__getitem__, reverse=True)
    return [kept[k][0] for k in order]


def position_variance(joints: NDArray[np.float32]) -> np.float32:
    """Return the variance of all joint positions of (n, V, 3), summed over xyz, in float32."""
    return sum_variances(joints.reshape(-1, 3))


def find_noisy_frames(joints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (n,) whether each frame of (n, V, 3) is spread wider than an upright body."""
    # Frames last in memory: numpy then compares whole runs of them at once, some ten times faster.
    plane_VCn = np.ascontiguousarray(joints[:, :, :2].transpose(1, 2, 0))
    width, height = plane_VCn.max(axis=0) - plane_VCn.min(axis=0)
    return np.asarray(width > MAX_WIDTH_TO_HEIGHT * height)


def _drop_noisy_tracks(tracks: list[Track]) -> list[tuple[Track, NDArray[np.bool_]]]:
    """Drop tracks of mostly noisy frames until one is left; return the rest with their noisy frames.

    The last remaining track is not examined: it counts as free of noise.
    """
    left = len(tracks)
    kept = []
    for track in tracks:
        noisy = np.zeros(len(track.joints), dtype=np.bool_)
        if left > 1:
            noisy = find_noisy_frames(track.joints)
            if np.count_nonzero(noisy) / len(noisy) >= MIN_NOISY_SHARE:
                left -= 1
                continue
        kept.append((track, noisy))
    return kept


def _denoised_variance(joints: NDArray[np.float32], noisy: NDArray[np.bool_]) -> np.float32:
    motion = position_variance(joints)
    return min(motion, position_variance(joints[~noisy])) if noisy.any() else motion
