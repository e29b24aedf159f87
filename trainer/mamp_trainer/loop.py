"""Owns the training loop: epochs, steps, and when to log, measure and save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mamp_schemas.recipe_specs import ScheduleSpec
from mamp_trainer.metrics import Metrics
from mamp_trainer.optim import learning_rate
from mamp_trainer.ranks.shares import Shares
from mamp_trainer.step import Step

LOG_EVERY = 10
"""Steps between two lines of metrics; each waits once for the device."""


class Position(NamedTuple):
    """Where a run has come to: finished epochs, and steps done in the one after them."""

    epoch: int = 0
    step: int = 0


@dataclass
class Training:
    """A training under way.

    Attributes:
        step: takes an optimiser step.
        shares: what it is taken on.
        schedule: learning rate and number of epochs.
        checkpoint_every: epochs between checkpoints.
        judge: which measure makes the best epoch, whose checkpoint is kept; None for none.
        metrics: where losses go.
        measure: called at the end of an epoch; what it returns goes into the epoch's metrics.
        save: writes a checkpoint of `position`.
        pause: called between steps; raises KeyboardInterrupt when the run is to stop.
        position: where it has come to.
    """

    step: Step
    shares: Shares
    schedule: ScheduleSpec
    checkpoint_every: int
    judge: str | None
    metrics: Metrics
    measure: Callable[[], Mapping[str, float]]
    save: Callable[[], None]
    pause: Callable[[], None]
    position: Position

    @property
    def steps_done(self) -> int:
        """Optimiser steps done, over all epochs."""
        return self.position.epoch * self.shares.steps + self.position.step

    def settle(self) -> None:
        """Check the losses of the steps done, and tell the metrics; called by all ranks."""
        self.metrics.add_taken(self.step.settle(self.shares.names))

    def due(self) -> bool:
        """Return whether the epoch that has ended leaves a checkpoint."""
        done = self.position.epoch
        best = self.judge is not None and self.metrics.tally.improved(self.judge)
        return best or done % self.checkpoint_every == 0 or done == self.schedule.epochs

    def measured(self) -> float | None:
        """Return what the epoch was judged by that has ended just now; None in the middle of one."""
        if self.judge is None or self.position.step or not self.metrics.tally.history:
            return None
        return self.metrics.tally.history[-1][self.judge]


def train(training: Training) -> None:
    """Go on from the training's position to the end of its schedule."""
    while training.position.epoch < training.schedule.epochs:
        train_epoch(training)
        measured = training.measure()
        done = training.position.epoch + 1
        training.settle()
        training.metrics.log_epoch(done, training.steps_done, measured)
        training.position = Position(done)
        if training.due():
            training.save()


def train_epoch(training: Training) -> None:
    """Take the steps that are left of the current epoch."""
    shares, metrics = training.shares, training.metrics
    epoch, first = training.position
    for step in range(first, shares.steps):
        lr = learning_rate(training.steps_done, shares.steps, training.schedule)
        training.step(metrics.gauge.timed(shares.parts(epoch, step)), epoch, step, lr)
        training.position = Position(epoch, step + 1)
        metrics.add_step(shares.clips, shares.terms(epoch, step))
        if training.steps_done % LOG_EVERY == 0:
            training.settle()
            metrics.log_steps(epoch + 1, training.steps_done, lr)
        training.pause()
