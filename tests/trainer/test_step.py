import pytest
import torch
from torch import Tensor, nn

from mamp_schemas.errors import TrainingError
from mamp_trainer.data.samples import Batch
from mamp_trainer.slots import Slots
from mamp_trainer.step import Step

EMPTY = torch.empty(0)


def batch(value: float) -> Batch:
    return Batch(torch.tensor([value]), None, EMPTY, EMPTY, EMPTY, Slots(EMPTY, EMPTY))


def square_step(weight: nn.Parameter) -> Step:
    def loss(given: Batch, _epoch: int) -> Tensor:
        return (weight * given.x).square().sum()

    return Step(loss, torch.optim.SGD([weight], lr=0.0))


def test_step__descends_the_gradient_at_the_given_rate() -> None:
    weight = nn.Parameter(torch.tensor(3.0))
    square_step(weight)(batch(2.0), 0, 0, lr=0.1)
    assert weight.item() == pytest.approx(3.0 - 0.1 * 2 * 3.0 * 4)


def test_step__gradients_do_not_add_up_over_steps() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    step = square_step(weight)
    step(batch(1.0), 0, 0, lr=0.0)
    step(batch(1.0), 0, 1, lr=0.0)
    assert weight.grad is not None
    assert weight.grad.item() == 2.0


def test_settle__returns_each_loss_once() -> None:
    step = square_step(nn.Parameter(torch.tensor(1.0)))
    step(batch(1.0), 0, 0, lr=0.0)
    step(batch(3.0), 0, 1, lr=0.0)
    assert step.settle() == [1.0, 9.0]
    assert step.settle() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_settle__names_the_first_step_that_is_not_finite(value: float) -> None:
    step = square_step(nn.Parameter(torch.tensor(1.0)))
    for number, each in enumerate([1.0, value, value], start=40):
        step(batch(each), 3, number, lr=0.0)
    with pytest.raises(TrainingError, match=r"step 42 \(epoch 4\)"):
        step.settle()
