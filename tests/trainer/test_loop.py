from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.progress import NullProgress
from mamp_trainer.data.body_dedup import UniqueBodies
from mamp_trainer.data.collate import Batch
from mamp_trainer.telemetry.meter import ThroughputMeter
from mamp_trainer.telemetry.writers import MetricsWriter
from mamp_trainer.training.microbatch import Microbatch, MicrobatchSampler
from mamp_trainer.training.optim import learning_rate
from mamp_trainer.training.state import MetricsLogger, Position, StepStats, TrainState
from mamp_trainer.training.trainer import TrainingLoop, TrainStep, train_epochs
from tests.trainer.runs import read_metrics

START = Position()
SCHEDULE = ScheduleSpec(epochs=3, warmup_epochs=1, lr=1.0)


class CountedShares(MicrobatchSampler):
    """Shares of one clip each, which carries its epoch and step."""

    clips = 1
    steps = 11

    def __init__(self) -> None:
        """Has nothing to divide."""

    def parts(self, epoch: int, step: int) -> Iterator[Microbatch]:
        number = torch.tensor([float(epoch * self.steps + step)])
        yield Microbatch(Batch(number, None, number, number, number, UniqueBodies(number, number)), 1.0)

    def terms(self, epoch: int, step: int) -> int:
        return 1

    def names(self, epoch: int, step: int) -> list[str]:
        return []


class Recorder(TrainStep):
    """A step that trains nothing and writes down what it is given; the loss is the number of the step."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int, float]] = []
        self.losses: list[float] = []

    def __call__(self, parts: Iterable[Microbatch], epoch: int, step: int, lr: float) -> None:
        (part,) = parts
        number = int(part.batch.x.item())
        assert number == epoch * CountedShares.steps + step
        self.taken.append((epoch, number, lr))
        self.losses.append(float(number))

    def settle(self, names: Callable[[int, int], list[str]]) -> StepStats:
        losses, self.losses = self.losses, []
        return StepStats(losses, [2 * loss for loss in losses])


def run(
    folder: Path, position: Position = START, seen: Callable[[TrainingLoop], None] = id, **changes: Any
) -> tuple[Recorder, list[Position]]:
    recorder, saved = Recorder(), []
    with MetricsWriter(folder, 0, 0) as files:
        settings: dict[str, Any] = {
            "step": recorder,
            "shares": CountedShares(),
            "schedule": SCHEDULE,
            "checkpoint_every": 2,
            "judge": None,
            "metrics": MetricsLogger(files.write, NullProgress(), TrainState(), ThroughputMeter(torch.device("cpu"))),
            "measure": dict,
            "save": lambda: saved.append(training.position),
            "pause": lambda: None,
            "position": position,
        }
        training = TrainingLoop(**{**settings, **changes})
        seen(training)
        train_epochs(training)
    return recorder, saved


def test_train__takes_every_step_once_at_its_learning_rate(tmp_path: Path) -> None:
    recorder, _ = run(tmp_path)
    assert recorder.taken == [(step // 11, step, learning_rate(step, 11, SCHEDULE)) for step in range(33)]


def test_train__goes_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    recorder, _ = run(tmp_path, Position(epoch=1, step=7))
    assert [step for _, step, _ in recorder.taken] == list(range(18, 33))


def test_train__saves_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    assert run(tmp_path)[1] == [Position(2, 0), Position(3, 0)]


def test_train__logs_every_ten_steps_and_the_end_of_an_epoch(tmp_path: Path) -> None:
    run(tmp_path)
    lines = [(line["event"], line["epoch"], line["step"], line["loss"]) for line in read_metrics(tmp_path)]
    assert lines[:4] == [("train", 1, 10, 4.5), ("epoch", 1, 11, 5.0), ("train", 2, 20, 15.0), ("epoch", 2, 22, 16.0)]
    assert len(lines) == 6


def test_train__measures_at_the_end_of_each_epoch(tmp_path: Path) -> None:
    run(tmp_path, measure=lambda: {"test_top1": 12.5})
    assert [line["test_top1"] for line in read_metrics(tmp_path) if line["event"] == "epoch"] == [12.5] * 3


def test_train__an_interrupted_measurement_leaves_the_epoch_unfinished(tmp_path: Path) -> None:
    stopped: list[TrainingLoop] = []

    def stop() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Position(0, 10), measure=stop, seen=stopped.append)
    assert [training.position for training in stopped] == [Position(epoch=0, step=11)]


def test_train__saves_every_epoch_that_is_the_best_so_far(tmp_path: Path) -> None:
    scores = iter([20.0, 60.0, 60.0, 40.0, 61.0])
    _, saved = run(
        tmp_path,
        measure=lambda: {"score": next(scores)},
        judge="score",
        schedule=SCHEDULE.replaced(epochs=5),
        checkpoint_every=4,
    )
    assert [position.epoch for position in saved] == [1, 2, 4, 5]


def test_train__nothing_left_to_do(tmp_path: Path) -> None:
    recorder, saved = run(tmp_path, Position(epoch=3))
    assert (recorder.taken, saved) == ([], [])
