"""Owns the training loop: epochs, steps, and when to log, measure and save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mamp_schemas.recipes import ScheduleSpec
from mamp_trainer.data.samples import Batch
from mamp_trainer.metrics import Metrics
from mamp_trainer.optim import learning_rate
from mamp_trainer.step import Step

LOG_EVERY = 10
"""Steps between two lines of metrics; each waits once for the device."""


class Batches(Protocol):
    """Training batches, each a pure function of epoch and step."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""

    def batch(self, epoch: int, step: int) -> Batch:
        """Return the batch of a step, both counted from 0."""


class Position(NamedTuple):
    """Where a run has come to: finished epochs, and steps done in the one after them."""

    epoch: int = 0
    step: int = 0


@dataclass
class Training:
    """A training under way.

    Attributes:
        step: takes an optimiser step.
        batches: what it is taken on.
        schedule: learning rate and number of epochs.
        checkpoint_every: epochs between checkpoints.
        metrics: where losses go.
        measure: called at the end of an epoch; what it returns goes into the epoch's metrics.
        save: writes a checkpoint of `position`.
        pause: called between steps; raises KeyboardInterrupt when the run is to stop.
        position: where it has come to.
    """

    step: Step
    batches: Batches
    schedule: ScheduleSpec
    checkpoint_every: int
    metrics: Metrics
    measure: Callable[[], Mapping[str, float]]
    save: Callable[[], None]
    pause: Callable[[], None]
    position: Position

    @property
    def steps_done(self) -> int:
        """Optimiser steps done, over all epochs."""
        return self.position.epoch * self.batches.steps + self.position.step


def train(training: Training) -> None:
    """Go on from the training's position to the end of its schedule."""
    epochs = training.schedule.epochs
    while training.position.epoch < epochs:
        train_epoch(training)
        measured = training.measure()
        done = training.position.epoch + 1
        training.metrics.add_losses(training.step.settle())
        training.metrics.log_epoch(done, training.steps_done, measured)
        training.position = Position(done)
        if done % training.checkpoint_every == 0 or done == epochs:
            training.save()


def train_epoch(training: Training) -> None:
    """Take the steps that are left of the current epoch."""
    epoch, first = training.position
    for step in range(first, training.batches.steps):
        lr = learning_rate(training.steps_done, training.batches.steps, training.schedule)
        batch = training.batches.batch(epoch, step)
        training.step(batch, epoch, training.steps_done, lr)
        training.position = Position(epoch, step + 1)
        training.metrics.add_step(len(batch.clip))
        if training.steps_done % LOG_EVERY == 0:
            training.metrics.add_losses(training.step.settle())
            training.metrics.log_steps(epoch + 1, training.steps_done, lr)
        training.pause()
