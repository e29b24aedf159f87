"""The sample that a network sees of a clip in testing: a centred crop, resized to T frames, masked as in the paper."""

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
    """Return the centred crop of a clip's valid frames: int((1 − p) · Tv / 2) frames are cut off at both ends.

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


def paper_masking(dataset: DatasetSpec) -> MaskingSpec:
    """Return ratio and τ as the paper sets them for a dataset."""
    return MaskingSpec(temperature=dataset.masking_temperature)
