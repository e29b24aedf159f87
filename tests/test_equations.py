"""Equations 2 to 6: the trainer's torch code against the NumPy reference of the pipeline, in float64."""

import numpy as np
import pytest
import torch

from mamp_pipeline.motion import compute_motion, index_rows, masking_probability, sample_mask, token_intensity
from mamp_schemas.models.objectives import MaskingSpec
from mamp_trainer.models.mamp import keep_smallest, masking_score, motion, motion_intensity, to_tokens

BODIES, FRAMES, JOINTS, SEGMENT = 3, 24, 5, 4


@pytest.fixture
def x_BTVC() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(BODIES, FRAMES, JOINTS, 3)).cumsum(axis=1)


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_motion__equals_equations_2_and_3(x_BTVC: np.ndarray, stride: int) -> None:
    index = index_rows(np.full(BODIES, FRAMES), np.ones(BODIES, dtype=int))
    expected = compute_motion(x_BTVC.reshape(-1, JOINTS, 3), index, stride).reshape(x_BTVC.shape)
    np.testing.assert_array_equal(motion(torch.from_numpy(x_BTVC), stride), expected)


@pytest.mark.parametrize("temperature", [0.25, 0.8, 2.0])
def test_motion_intensity__equals_equations_4_and_5(x_BTVC: np.ndarray, temperature: float) -> None:
    scaled = motion_intensity(to_tokens(torch.from_numpy(x_BTVC), SEGMENT), JOINTS, temperature)
    for body, probability in zip(x_BTVC, scaled.softmax(dim=1), strict=True):
        expected = masking_probability(token_intensity(body, SEGMENT), temperature)
        np.testing.assert_allclose(probability, expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize(("ratio", "temperature"), [(0.9, 0.8), (0.6, 0.25), (0.35, 2.0)])
def test_masking_score__masks_the_tokens_of_equation_6(x_BTVC: np.ndarray, ratio: float, temperature: float) -> None:
    u = np.random.default_rng(1).random((BODIES, FRAMES // SEGMENT * JOINTS))
    scaled = motion_intensity(to_tokens(torch.from_numpy(x_BTVC), SEGMENT), JOINTS, temperature)
    _, masks = keep_smallest(masking_score(scaled, torch.from_numpy(u)), ratio)
    for body, draw, mask in zip(x_BTVC, u, masks, strict=True):
        intensity = token_intensity(body, SEGMENT)
        expected = sample_mask(
            intensity, draw.reshape(intensity.shape), MaskingSpec(ratio=ratio, temperature=temperature)
        )
        np.testing.assert_array_equal(mask, expected.ravel())
