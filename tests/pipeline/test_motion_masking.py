"""Motion-aware masking in numpy: equal to the authors' network on golden clips, and exact in what it keeps."""

import numpy as np
import pytest

from mamp_pipeline.motion import masking_probability, sample_mask, token_intensity
from mamp_schemas.models.objectives import MaskingSpec
from tests.paths import GOLDEN

MASKINGS = {
    "mamp0n": MaskingSpec(ratio=0.9, temperature=0.8),
    "mamp1n": MaskingSpec(ratio=0.9, temperature=0.75),
    "mamp2n": MaskingSpec(ratio=0.6, temperature=0.8),
}
SEGMENT, JOINTS = 4, 25


@pytest.mark.parametrize("case", MASKINGS)
def test_sample_mask__equals_the_authors(case: str) -> None:
    with np.load(GOLDEN / "model.npz") as golden:
        sequences = golden["x"].transpose(0, 4, 2, 3, 1).reshape(-1, 24, JOINTS, 3)
        draws, masks = golden["u"], golden[f"{case}/mask"]
    for sample, u, mask in zip(sequences, draws, masks, strict=True):
        intensity = token_intensity(sample, SEGMENT)
        masked = sample_mask(intensity, u.reshape(intensity.shape), MASKINGS[case])
        assert np.array_equal(masked.ravel(), mask.astype(bool))


def test_sample_mask__keeps_74_of_750() -> None:
    rng = np.random.default_rng(0)
    masked = sample_mask(rng.random((30, 25)), rng.random((30, 25)), MaskingSpec())
    assert np.count_nonzero(~masked) == 74


def test_token_intensity__first_segment_copies_the_second() -> None:
    sample = np.zeros((12, 2, 3), dtype=np.float32)
    sample[4:8, 1] = 1
    sample[8:, 1] = 3
    assert token_intensity(sample, 4).tolist() == [[0, 1], [0, 1], [0, 2]]


def test_masking_probability__grows_by_e_from_rest_to_the_largest_at_temperature_one() -> None:
    probability = masking_probability(np.array([[0.0, 0.5, 1.0]]), 1.0)
    assert probability.sum() == pytest.approx(1)
    assert probability[0, 2] / probability[0, 0] == pytest.approx(np.e, rel=1e-9)


def test_masking_probability__is_uniform_without_motion() -> None:
    assert masking_probability(np.zeros((2, 5)), 0.8).tolist() == [[0.1] * 5] * 2
