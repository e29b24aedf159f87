import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_trainer.models.mamp import keep_smallest, masking_score, motion_intensity, to_tokens


def sequence(*positions: float) -> torch.Tensor:
    """One joint, one frame a token, at the given x."""
    return to_tokens(torch.tensor([[[[x, 0.0, 0.0]] for x in positions]], dtype=torch.float64), 1)


def test_motion_intensity__divides_by_maximum_and_temperature():
    intensity = motion_intensity(sequence(0, 3, 9, 9), joints=1, temperature=0.5)

    torch.testing.assert_close(intensity, torch.tensor([[1.0, 1.0, 2.0, 0.0]], dtype=torch.float64), rtol=0, atol=1e-9)


def test_motion_intensity__compares_a_joint_with_itself():
    x = torch.zeros(1, 8, 2, 3)
    x[:, 4:, 1] = 1.0

    intensity = motion_intensity(to_tokens(x, 4), joints=2, temperature=1.0)

    assert intensity.tolist() == [[0.0, 1.0, 0.0, 1.0]]


def test_motion_intensity__scales_each_sequence_on_its_own():
    tokens = torch.cat((sequence(0, 3, 9, 9), 1000 * sequence(0, 3, 9, 9)))

    small, large = motion_intensity(tokens, joints=1, temperature=0.8)

    torch.testing.assert_close(small, large, rtol=1e-9, atol=0)


def test_motion_intensity__is_zero_without_motion():
    assert motion_intensity(torch.zeros(1, 6, 12), joints=3, temperature=0.8).tolist() == [[0.0] * 6]


def test_masking_score__grows_with_intensity_and_noise():
    intensity = torch.tensor([[0.0, 1.0, 1.0]], dtype=torch.float64)

    score = masking_score(intensity, torch.tensor([[0.5, 0.5, 0.6]], dtype=torch.float64))[0]

    assert score[1] - score[0] == pytest.approx(1.0, abs=1e-9)
    assert score[1] < score[2]


@pytest.mark.parametrize("u", [0.0, 1.0 - 2**-24, 1.0])
def test_masking_score__is_finite_at_the_ends_of_the_draw(u):
    assert masking_score(torch.zeros(1, 4), torch.full((1, 4), u)).isfinite().all()


def test_masking_score__masks_a_token_with_its_probability():
    intensity = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, -1)
    u = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))

    masked = masking_score(intensity, u).argmax(dim=1)

    shares = masked.bincount(minlength=3) / len(masked)
    torch.testing.assert_close(shares, torch.tensor([0.0, 1.0, 2.0]).softmax(dim=0), rtol=0, atol=0.02)


def test_keep_smallest__keeps_74_of_750():
    keep, mask = keep_smallest(torch.rand(2, 750), 0.9)

    assert keep.shape == (2, 74)
    assert mask.sum(dim=1).tolist() == [676, 676]


def test_keep_smallest__orders_by_score():
    keep, mask = keep_smallest(torch.tensor([[0.4, 0.1, 0.3, 0.2]]), 0.5)

    assert keep.tolist() == [[1, 3]]
    assert mask.tolist() == [[True, False, True, False]]


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40), st.floats(0.05, 0.95))
def test_keep_smallest__hides_exactly_the_rest(scores, ratio):
    keep, mask = keep_smallest(torch.tensor([scores]), ratio)

    kept = set(keep[0].tolist())
    assert len(kept) == keep.shape[1]
    assert {index for index, masked in enumerate(mask[0].tolist()) if not masked} == kept
    assert max((scores[i] for i in kept), default=0) <= min(
        (score for i, score in enumerate(scores) if i not in kept), default=1
    )
