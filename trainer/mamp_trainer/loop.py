"""Owns the training loop: epochs, steps, and when to log, measure and save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mamp_schemas.recipe_specs import ScheduleSpec
from mamp_trainer.metrics import MetricsLogger
from mamp_trainer.optim import learning_rate
from mamp_trainer.ranks.shares import MicrobatchSampler
from mamp_trainer.step import TrainStep

LOG_EVERY = 10
"""Steps between two lines of metrics; each waits once for the device."""


class Position(NamedTuple):
    """Where a run has come to: finished epochs, and steps done in the one after them."""

    epoch: int = 0
    step: int = 0


@dataclass
class TrainingLoop:
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

    step: TrainStep
    microbatches: MicrobatchSampler
    schedule: ScheduleSpec
    checkpoint_every: int
    monitor: str | None
    metrics: MetricsLogger
    evaluate: Callable[[], Mapping[str, float]]
    save: Callable[[], None]
    check_interrupt: Callable[[], None]
    position: Position

    @property
    def steps_done(self) -> int:
        """Optimiser steps done, over all epochs."""
        return self.position.epoch * self.microbatches.steps + self.position.step

    def flush_metrics(self) -> None:
        """Check the losses of the steps done, and tell the metrics; called by all ranks."""
        self.metrics.add_stats(self.step.flush_metrics(self.microbatches.clip_ids))

    def should_checkpoint(self) -> bool:
        """Return whether the epoch that has ended leaves a checkpoint."""
        done = self.position.epoch
        best = self.monitor is not None and self.metrics.state.improved(self.monitor)
        return best or done % self.checkpoint_every == 0 or done == self.schedule.epochs

    def monitored_value(self) -> float | None:
        """Return what the epoch was judged by that has ended just now; None in the middle of one."""
        if self.monitor is None or self.position.step or not self.metrics.state.history:
            return None
        return self.metrics.state.history[-1][self.monitor]


def train_epochs(training: TrainingLoop) -> None:
    """Go on from the training's position to the end of its schedule."""
    while training.position.epoch < training.schedule.epochs:
        train_epoch(training)
        measured = training.evaluate()
        done = training.position.epoch + 1
        training.flush_metrics()
        training.metrics.log_epoch(done, training.steps_done, measured)
        training.position = Position(done)
        if training.should_checkpoint():
            training.save()


def train_epoch(training: TrainingLoop) -> None:
    """Take the steps that are left of the current epoch."""
    shares, metrics = training.microbatches, training.metrics
    epoch, first = training.position
    for step in range(first, shares.steps):
        lr = learning_rate(training.steps_done, shares.steps, training.schedule)
        training.step(metrics.meter.timed_microbatches(shares.microbatches(epoch, step)), epoch, step, lr)
        training.position = Position(epoch, step + 1)
        metrics.add_step(shares.batch_size, shares.num_loss_terms(epoch, step))
        if training.steps_done % LOG_EVERY == 0:
            training.flush_metrics()
            metrics.log_steps(epoch + 1, training.steps_done, lr)
        training.check_interrupt()
