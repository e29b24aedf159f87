import pytest
import torch
from torch import Tensor, nn

from mamp_schemas.errors import TrainingError
from mamp_trainer.data.collate import Batch, UniqueBodies
from mamp_trainer.training.hooks import Hooks, Loss
from mamp_trainer.training.microbatch import FlatGradients, Microbatch
from mamp_trainer.training.trainer import Trainer
from tests.trainer.runs import make_trainer

EMPTY = torch.empty(0)


def batch(value: float, weight: float = 1.0) -> list[Microbatch]:
    return [Microbatch(Batch(torch.tensor([value]), None, EMPTY, EMPTY, EMPTY, UniqueBodies(EMPTY, EMPTY)), weight)]


def square_trainer(weight: nn.Parameter) -> Trainer:
    def loss(given: Batch, _epoch: int) -> Tensor:
        return (weight * given.x).square().sum()

    return make_trainer(loss, torch.optim.SGD([weight], lr=0.0))


def test_train_step__descends_the_gradient_at_the_given_rate() -> None:
    weight = nn.Parameter(torch.tensor(3.0))
    square_trainer(weight).train_step(batch(2.0), 0, 0, lr=0.1)
    assert weight.item() == pytest.approx(3.0 - 0.1 * 2 * 3.0 * 4)


def test_train_step__gradients_do_not_add_up_over_steps() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    trainer = square_trainer(weight)
    trainer.train_step(batch(1.0), 0, 0, lr=0.0)
    trainer.train_step(batch(1.0), 0, 1, lr=0.0)
    assert weight.grad is not None
    assert weight.grad.item() == 2.0


def test_flush_metrics__returns_each_loss_once() -> None:
    trainer = square_trainer(nn.Parameter(torch.tensor(1.0)))
    trainer.train_step(batch(1.0), 0, 0, lr=0.0)
    trainer.train_step(batch(3.0), 0, 1, lr=0.0)
    assert trainer.flush_metrics() == ([1.0, 9.0], [2.0, 18.0], {})
    assert trainer.flush_metrics() == ([], [], {})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_flush_metrics__names_the_first_step_that_is_not_finite(value: float) -> None:
    trainer = square_trainer(nn.Parameter(torch.tensor(1.0)))
    for number, batch_loss in enumerate([1.0, value, value], start=40):
        trainer.train_step(batch(batch_loss), 3, number, lr=0.0)
    with pytest.raises(TrainingError, match=r"(?s)step 42 of epoch 4: the loss is (nan|inf).*clip3 clip41"):
        trainer.flush_metrics()


def test_flush_metrics__names_the_step_whose_gradient_overflows() -> None:
    weight = nn.Parameter(torch.tensor(0.0))
    trainer = make_trainer(lambda part, _epoch: (weight * part.x).sqrt().sum(), torch.optim.SGD([weight], lr=0.0))
    trainer.train_step(batch(1.0), 0, 6, lr=0.0)
    with pytest.raises(TrainingError, match="step 7 of epoch 1: the loss is 0, its gradient's norm inf"):
        trainer.flush_metrics()


def test_train_step__parts_count_by_their_weight() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    trainer = square_trainer(weight)
    trainer.train_step([*batch(1.0, 0.25), *batch(3.0, 0.75)], 0, 0, lr=0.0)
    assert trainer.flush_metrics() == ([0.25 + 0.75 * 9], [2 * (0.25 + 0.75 * 9)], {})


def test_train_step__named_parts_of_the_loss_count_by_their_weight_too() -> None:
    weight = nn.Parameter(torch.tensor(1.0))

    def loss(given: Batch, _epoch: int) -> Loss:
        return Loss((weight * given.x).square().sum(), {"x": given.x.sum(), "two": torch.tensor(2.0)})

    trainer = make_trainer(loss, torch.optim.SGD([weight], lr=0.0))
    for _ in range(2):
        trainer.train_step([*batch(1.0, 0.25), *batch(3.0, 0.75)], 0, 0, lr=0.0)
    assert trainer.flush_metrics().parts == {"x": [0.25 + 0.75 * 3] * 2, "two": [2.0] * 2}


def test_train_step__hooks_clip_before_the_optimiser_and_follow_after_it() -> None:
    weight, seen = nn.Parameter(torch.tensor(3.0)), []

    class Recorder(Hooks):
        def clip_gradients(self, gradients: FlatGradients) -> None:
            seen.append((weight.item(), gradients.norm().item()))
            gradients.zero()

        def after_step(self, module: nn.Module, step: int, steps: int) -> None:
            seen.append((weight.item(), step, steps))

    trainer = make_trainer(
        lambda given, _epoch: (weight * given.x).sum(), torch.optim.SGD([weight], lr=0.0), hooks=Recorder()
    )
    trainer.train_step(batch(2.0), 1, 0, lr=0.1)
    assert seen == [(3.0, 2.0), (3.0, 2, 3)]
