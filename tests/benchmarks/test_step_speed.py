"""Forward, backward and update of the full-size network on a CPU, on given batches: against the plain step.

Five clips, four of them of one person, are enough for products of full size and take seconds on two cores.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from mamp_trainer.recipes import load_recipe
from tests.benchmarks.contenders import (
    LR,
    cpu_peak,
    make_network,
    our_step,
    plain_step,
    random_batch,
    step_flops,
    take_turns,
)
from tests.benchmarks.plain_step import PlainStep
from tests.trainer.runs import masked_loss

pytestmark = pytest.mark.benchmark

CPU = torch.device("cpu")
CORES = 2
BODIES = (1, 1, 2, 1, 1)
ROUNDS = 5
RECIPE = load_recipe("pretrain", "ntu60-xsub")
SKIP = RECIPE.replaced(empty_bodies="skip")


class Measured(NamedTuple):
    """Least seconds of a step: plain, with all bodies, without empty ones."""

    plain: float
    keep: float
    skip: float


@pytest.fixture(scope="module", autouse=True)
def _all_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def measured() -> Measured:
    batch = random_batch(RECIPE, BODIES, CPU)
    contenders = {
        "plain": plain_step(make_network(RECIPE, CPU), RECIPE, batch),
        "keep": our_step(make_network(RECIPE, CPU), RECIPE, batch),
        "skip": our_step(make_network(SKIP, CPU), SKIP, batch),
    }
    seconds = Measured(**{name: min(times) for name, times in take_turns(contenders, ROUNDS).items()})
    report(seconds)
    return seconds


def report(seconds: Measured) -> None:
    peaks = cpu_peak()
    sequences = {"plain": 2 * len(BODIES), "keep": 2 * len(BODIES), "skip": sum(BODIES)}
    print(
        "\npeak of float32 products: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items())
    )
    for name, spent in seconds._asdict().items():
        rate = step_flops(RECIPE, sequences[name]) / spent
        share = rate / max(peaks.values())
        print(
            f"{name:<6} {spent:6.2f} s  {len(BODIES) / spent:5.2f} clips/s  {seconds.plain / spent:5.2f} x plain  "
            f"{rate / 1e9:4.0f} GFLOP/s, {share:4.0%} of the peak"
        )


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def test_step__loss_and_gradients_are_the_plain_ones() -> None:
    model, batch = make_network(RECIPE, CPU), random_batch(RECIPE, (1, 2), CPU)
    ours, plain = masked_loss(model, RECIPE)(batch, 0), PlainStep(model, RECIPE, LR).loss(batch, 0)
    assert abs(ours.item() / plain.item() - 1) < 1e-4
    for got, expected in zip(gradients(model, ours), gradients(model, plain), strict=True):
        assert (got - expected).norm() < 1e-4 * expected.norm()


def test_step__is_2_4_times_as_fast_as_the_plain_one(measured: Measured) -> None:
    assert measured.plain / measured.keep >= 2.4


def test_step__without_empty_bodies_is_4_times_as_fast(measured: Measured) -> None:
    assert measured.plain / measured.skip >= 4
