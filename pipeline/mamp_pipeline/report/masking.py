"""What a network sees of one clip in testing: centred crop, resize to T frames, token intensity, motion-aware mask.

Equations 4 to 6 of the paper in numpy, as the reference for the torch code of the trainer. Te segments, V joints, and
L = Te·V tokens in the order (segment, joint).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.objectives import MaskingSpec


@dataclass(frozen=True, slots=True)
class Crop:
    """The frames [start, start + length) of a clip."""

    start: int
    length: int


def centre_crop(valid_frames: int, share: float) -> Crop:
    """Return the centred crop of a clip's valid frames, int((1 − p) · Tv / 2) cut off at both ends.

    Args:
        valid_frames: Tv, at least 1.
        share: p.
    """
    cut = int((1 - share) * valid_frames / 2)
    return Crop(cut, valid_frames - 2 * cut)


def resize_crop(joints_MTVC: NDArray[np.float32], crop: Crop, frames: int) -> NDArray[np.float32]:
    """Resize a crop to T frames: linear, half-pixel centres, edges clamped, float32 coordinates.

    The coordinates in time are float32, as in the authors' code.

    Args:
        joints_MTVC: (M, F, V, 3) metres.
        crop: which of the F frames.
        frames: T.

    Returns:
        (M, T, V, 3) float32.
    """
    scale = np.float32(crop.length) / np.float32(frames)
    centres = np.arange(frames, dtype=np.float32) + np.float32(0.5)
    source = np.maximum(scale * centres - np.float32(0.5), np.float32(0))
    before = np.minimum(source.astype(np.int64), crop.length - 1)
    after = np.minimum(before + 1, crop.length - 1)
    weight = (source - before.astype(np.float32))[:, None, None]
    first, second = joints_MTVC[:, crop.start + before], joints_MTVC[:, crop.start + after]
    return np.asarray(first * (1 - weight) + second * weight, dtype=np.float32)


EPSILON = 1e-10

Floats = NDArray[np.float64]


def paper_masking(dataset: DatasetSpec) -> MaskingSpec:
    """Return ratio and τ as the paper sets them for a dataset."""
    return MaskingSpec(temperature=dataset.masking_temperature)


def token_intensity(sample_TVC: NDArray[np.floating], segment: int) -> Floats:
    """Return the mean absolute difference of each token from the segment before (eq. 4); the first copies the second.

    Args:
        sample_TVC: (T, V, 3) metres, T a multiple of `segment` and at least twice as much.
        segment: l.

    Returns:
        (Te, V) metres.
    """
    frames, joints, _ = sample_TVC.shape
    tokens = sample_TVC.astype(np.float64).reshape(frames // segment, segment, joints, 3)
    steps = np.abs(np.diff(tokens, axis=0)).mean(axis=(1, 3))
    return np.asarray(np.concatenate((steps[:1], steps)), dtype=np.float64)


def _scaled_intensity(intensity: Floats, temperature: float) -> Floats:
    return np.asarray(intensity / (intensity.max() * temperature + EPSILON), dtype=np.float64)


def masking_probability(intensity: Floats, temperature: float) -> Floats:
    """Return the probability of each token to be hidden first (eq. 5), the softmax over all: (Te, V), sum 1."""
    weights = np.exp(_scaled_intensity(intensity, temperature))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def sample_mask(intensity: Floats, u: Floats, spec: MaskingSpec) -> NDArray[np.bool_]:
    """Return which tokens a draw hides (eq. 6): all but the int(L · (1 − ratio)) of the smallest scores.

    Args:
        intensity: (Te, V), from `token_intensity`.
        u: (Te, V) drawn from U(0, 1).
        spec: ratio and τ.

    Returns:
        (Te, V), true where hidden.
    """
    score = np.log(masking_probability(intensity, spec.temperature)) - np.log(-np.log(u + EPSILON) + EPSILON)
    kept = int(score.size * (1 - spec.ratio))
    hidden = np.ones(score.size, dtype=np.bool_)
    hidden[np.argsort(score, axis=None, kind="stable")[:kept]] = False
    return hidden.reshape(score.shape)
