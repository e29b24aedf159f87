import pytest
import torch
from torch import Tensor, nn

from mamp_schemas.errors import TrainingError
from mamp_trainer.data.body_dedup import UniqueBodies
from mamp_trainer.data.collate import Batch
from mamp_trainer.training.microbatch import Microbatch
from mamp_trainer.training.trainer import TrainStep

EMPTY = torch.empty(0)


def batch(value: float, weight: float = 1.0) -> list[Microbatch]:
    return [Microbatch(Batch(torch.tensor([value]), None, EMPTY, EMPTY, EMPTY, UniqueBodies(EMPTY, EMPTY)), weight)]


def clips(epoch: int, step: int) -> list[str]:
    return [f"clip{epoch}", f"clip{step}"]


def square_step(weight: nn.Parameter) -> TrainStep:
    def loss(given: Batch, _epoch: int) -> Tensor:
        return (weight * given.x).square().sum()

    return TrainStep(loss, torch.optim.SGD([weight], lr=0.0))


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
    assert step.flush_metrics(clips) == ([1.0, 9.0], [2.0, 18.0])
    assert step.flush_metrics(clips) == ([], [])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_settle__names_the_first_step_that_is_not_finite(value: float) -> None:
    step = square_step(nn.Parameter(torch.tensor(1.0)))
    for number, each in enumerate([1.0, value, value], start=40):
        step(batch(each), 3, number, lr=0.0)
    with pytest.raises(TrainingError, match=r"(?s)step 42 of epoch 4: the loss is (nan|inf).*clip3 clip41"):
        step.flush_metrics(clips)


def test_settle__names_the_step_whose_gradient_overflows() -> None:
    weight = nn.Parameter(torch.tensor(0.0))
    step = TrainStep(lambda part, _epoch: (weight * part.x).sqrt().sum(), torch.optim.SGD([weight], lr=0.0))
    step(batch(1.0), 0, 6, lr=0.0)
    with pytest.raises(TrainingError, match="step 7 of epoch 1: the loss is 0, its gradient's norm inf"):
        step.flush_metrics(clips)


def test_step__parts_count_by_their_weight() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    step = square_step(weight)
    step([*batch(1.0, 0.25), *batch(3.0, 0.75)], 0, 0, lr=0.0)
    assert step.flush_metrics(clips) == ([0.25 + 0.75 * 9], [2 * (0.25 + 0.75 * 9)])
