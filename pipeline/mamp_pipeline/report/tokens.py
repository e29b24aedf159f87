"""Motion-aware masking of one body's sample, in numpy: intensity, probability, and which tokens are hidden.

Equations 4 to 6 of the paper as in reference.md §4; the trainer has its own, in torch, for batches. Te segments,
V joints, L = Te·V tokens in the order (segment, joint). The viewer computes the same in `assets/masking.js`.
"""

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.datasets import DatasetName
from mamp_schemas.recipe_specs import MaskingSpec

EPSILON = 1e-10
_TEMPERATURES: dict[DatasetName, float] = {"ntu120": 0.75}

Floats = NDArray[np.float64]


def paper_masking(dataset: DatasetName) -> MaskingSpec:
    """Return ratio and τ as the paper sets them for a dataset."""
    return MaskingSpec(temperature=_TEMPERATURES.get(dataset, MaskingSpec().temperature))


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
