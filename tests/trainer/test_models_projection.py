import math

import pytest
import torch
import torch.nn.functional as F

from mamp_trainer.models.transformer import Linear, xavier_linear


def test_xavier_linear__fills_the_xavier_range():
    torch.manual_seed(0)

    linear = xavier_linear(60, 90)

    bound = math.sqrt(6 / (60 + 90))
    assert 0.99 * bound < linear.weight.abs().max() <= bound
    assert not linear.bias.any()


@pytest.mark.parametrize("shape", [(2, 5, 12), (7, 12), (12,)])
@pytest.mark.parametrize("transposed", [False, True])
def test_linear__equals_the_matrix_product(shape, transposed):
    torch.manual_seed(0)
    linear, x = Linear(12, 20), torch.randn(*shape)
    if transposed:
        x = x.mT.contiguous().mT if x.ndim > 1 else x

    torch.testing.assert_close(linear(x), F.linear(x, linear.weight, linear.bias), rtol=1e-5, atol=1e-6)


def test_linear__has_the_gradients_of_the_matrix_product():
    torch.manual_seed(0)
    linear, x = Linear(12, 20), torch.randn(3, 5, 12, requires_grad=True)
    inputs = [x, linear.weight, linear.bias]

    got = torch.autograd.grad(linear(x).square().sum(), inputs)
    expected = torch.autograd.grad(F.linear(*inputs).square().sum(), inputs)

    for one, two in zip(got, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_linear__of_float64_is_exactly_the_matrix_product():
    linear, x = Linear(12, 20).double(), torch.randn(3, 12, dtype=torch.float64)

    assert torch.equal(linear(x), F.linear(x, linear.weight, linear.bias))


def test_linear__follows_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Linear(12, 20)(torch.randn(3, 12)).dtype == torch.bfloat16


def test_linear__of_nothing_is_nothing():
    assert Linear(12, 20)(torch.empty(0, 5, 12)).shape == (0, 5, 20)
