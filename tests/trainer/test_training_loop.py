"""The loop of epochs: which steps are taken, what is logged, when it saves and where it can be interrupted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.data.collate import Batch, UniqueBodies
from mamp_trainer.training.hooks import Hooks, Loss
from mamp_trainer.training.microbatch import Microbatch
from mamp_trainer.training.optim import learning_rate
from mamp_trainer.training.runtime import RunContext
from mamp_trainer.training.state import Position
from mamp_trainer.training.trainer import Trainer
from tests.trainer.runs import make_trainer, pretrain_recipe, read_metrics

START = Position()
SCHEDULE = ScheduleSpec(epochs=3, warmup_epochs=1, lr=1.0)


class CountedBatches:
    """Batches of one clip each, which carries the number of its step."""

    batch_size = 1
    steps = 11

    def microbatches(self, epoch: int, step: int) -> Iterator[Microbatch]:
        number = torch.tensor([float(epoch * self.steps + step)])
        yield Microbatch(Batch(number, None, number, number, number, UniqueBodies(number, number)), 1.0)

    def num_loss_terms(self, epoch: int, step: int) -> int:
        return 1

    def clip_ids(self, epoch: int, step: int) -> list[str]:
        return []


class StepRecorder(Hooks):
    """Writes down the number and learning rate of each step."""

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self.taken: list[tuple[int, float]] = []
        self._optimiser = optimiser

    def after_step(self, module: nn.Module, step: int, steps: int) -> None:
        assert steps == SCHEDULE.epochs * CountedBatches.steps or steps == 55
        self.taken.append((step - 1, self._optimiser.param_groups[0]["lr"]))


def run(
    folder: Path,
    position: Position = START,
    evaluate: Callable[[], dict[str, float]] = dict,
    trainers: list[Trainer] | None = None,
    schedule: ScheduleSpec = SCHEDULE,
    checkpoint_every: int = 2,
    monitor: str | None = None,
) -> tuple[StepRecorder, list[Position]]:
    """Train from a position on; return the steps taken and the positions saved."""
    weight, saved = nn.Parameter(torch.tensor(1.0)), []
    optimiser = torch.optim.SGD([weight], lr=0.0)
    recorder = StepRecorder(optimiser)

    def loss(batch: Batch, _epoch: int) -> Loss:
        return Loss(batch.x.sum() + 0 * weight)

    settings: dict[str, Any] = {
        "recipe": pretrain_recipe(schedule=schedule, checkpoint_every=checkpoint_every),
        "microbatches": CountedBatches(),
        "context": RunContext(folder),
        "evaluate": lambda _check_interrupt: evaluate(),
        "monitor": monitor,
        "hooks": recorder,
        "module": nn.Linear(1, 1),
    }
    trainer = make_trainer(loss, optimiser, **settings)
    trainer.position = position
    save = trainer.save
    trainer.save = lambda: (saved.append(trainer.position), save())  # type: ignore[method-assign, assignment, func-returns-value]
    if trainers is not None:
        trainers.append(trainer)
    trainer.fit()
    return recorder, saved


def test_fit__takes_every_step_once_at_its_learning_rate(tmp_path: Path) -> None:
    recorder, _ = run(tmp_path)
    assert recorder.taken == [(step, learning_rate(step, 11, SCHEDULE)) for step in range(33)]


def test_fit__goes_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    recorder, _ = run(tmp_path, Position(epoch=1, step=7))
    assert [step for step, _ in recorder.taken] == list(range(18, 33))


def test_fit__saves_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    assert run(tmp_path)[1] == [Position(2, 0), Position(3, 0)]


def test_fit__logs_every_ten_steps_and_the_end_of_an_epoch(tmp_path: Path) -> None:
    run(tmp_path)
    lines = [(line["event"], line["epoch"], line["step"], line["loss"]) for line in read_metrics(tmp_path)]
    assert lines[:4] == [("train", 1, 10, 4.5), ("epoch", 1, 11, 5.0), ("train", 2, 20, 15.0), ("epoch", 2, 22, 16.0)]
    assert len(lines) == 6


def test_fit__measures_at_the_end_of_each_epoch(tmp_path: Path) -> None:
    run(tmp_path, evaluate=lambda: {"test_top1": 12.5})
    assert [line["test_top1"] for line in read_metrics(tmp_path) if line["event"] == "epoch"] == [12.5] * 3


def test_fit__an_interrupted_measurement_leaves_the_epoch_unfinished(tmp_path: Path) -> None:
    stopped: list[Trainer] = []

    def stop() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Position(0, 10), evaluate=stop, trainers=stopped)
    assert [training.position for training in stopped] == [Position(epoch=0, step=11)]


def test_fit__saves_every_epoch_that_is_the_best_so_far(tmp_path: Path) -> None:
    scores = iter([20.0, 60.0, 60.0, 40.0, 61.0])
    _, saved = run(
        tmp_path,
        evaluate=lambda: {"score": next(scores)},
        monitor="score",
        schedule=SCHEDULE.replaced(epochs=5),
        checkpoint_every=4,
    )
    assert [position.epoch for position in saved] == [1, 2, 4, 5]


def test_fit__nothing_left_to_do(tmp_path: Path) -> None:
    recorder, saved = run(tmp_path, Position(epoch=3))
    assert recorder.taken == []
    assert saved == [Position(epoch=3)], "a run without a checkpoint leaves one"
