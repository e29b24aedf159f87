import pytest
import torch

from mamp_schemas.models.objectives import TargetSpec
from mamp_trainer.models.mamp import motion, to_tokens
from mamp_trainer.objectives.mamp import normalise_tokens, prediction_target


@pytest.fixture
def x():
    return torch.randn(2, 8, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", [1, 2, 7])
def test_motion__looks_ahead_by_the_stride(x, stride):
    assert torch.equal(motion(x, stride)[:, :-stride], x[:, stride:] - x[:, :-stride])


@pytest.mark.parametrize("stride", [1, 2, 7])
def test_motion__is_zero_in_the_last_frames(x, stride):
    assert not motion(x, stride)[:, -stride:].any()


def test_normalise_tokens__brings_each_token_to_unit_unbiased_variance(x):
    tokens = normalise_tokens(to_tokens(1000 * x, 4))

    torch.testing.assert_close(tokens.mean(dim=-1), torch.zeros(2, 6, dtype=torch.float64))
    torch.testing.assert_close(
        tokens.var(dim=-1, correction=1), torch.ones(2, 6, dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_normalise_tokens__leaves_constant_tokens_zero():
    assert not normalise_tokens(torch.full((1, 2, 12), 0.5)).any()


def test_prediction_target__takes_motion_from_the_trajectory(x):
    target = prediction_target(x, 2 * x, 4, TargetSpec(stride=2, normalise=False))

    assert torch.equal(target, to_tokens(motion(2 * x, 2), 4))


def test_prediction_target__takes_joints_from_the_sample(x):
    target = prediction_target(x, 2 * x, 4, TargetSpec(kind="joint", normalise=False))

    assert torch.equal(target, to_tokens(x, 4))
