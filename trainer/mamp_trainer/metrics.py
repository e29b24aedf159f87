"""Owns what a run tells of itself, line by line; and counts of right answers."""

import time
from collections.abc import Callable, Mapping

from torch import Tensor

from mamp_schemas.progress import Progress
from mamp_trainer.step import StepStats
from mamp_trainer.tally import TrainState
from mamp_trainer.watch.files import discard_metrics
from mamp_trainer.watch.gauge import ThroughputMeter

WriteMetrics = Callable[[str, int, int, Mapping[str, float]], None]
"""Where a line goes: event, epoch, step and facts."""


class MetricsLogger:
    """Makes lines of metrics of what training leaves. On all ranks alike, but only the first writes them.

    Args:
        write: where lines go.
        progress: who watches.
        tally: what is known so far; goes on to be updated.
        gauge: measures rates and times.
    """

    def __init__(self, write: WriteMetrics, progress: Progress, state: TrainState, meter: ThroughputMeter) -> None:
        self.state, self.meter = state, meter
        self._write_line, self._progress = write, progress
        self._started = time.monotonic() - state.seconds

    def add_step(self, clips: int, loss_terms: int) -> None:
        """Count a step, the clips of its global batch and the terms of its loss."""
        self.meter.add_step(clips, loss_terms)
        self._progress.advance(1)

    def add_stats(self, stats: StepStats) -> None:
        """Take in what the steps that were counted before have left."""
        self.state.window.add(stats.losses)
        self.state.epoch.add(stats.losses)
        self.state.norms.add(stats.norms)
        self.state.seconds = time.monotonic() - self._started

    def log_steps(self, epoch: int, step: int, lr: float) -> None:
        """Write a line about the steps since the last one.

        Args:
            epoch: the 1-based epoch.
            step: optimiser steps done.
            lr: of the last of them.
        """
        means = {"loss": self.state.window.pop(), "lr": lr, "gradient_norm": self.state.norms.pop()}
        self._write("train", epoch, step, means | self.meter.read(with_peak=self._write_line is not discard_metrics))

    def log_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Write a line about an epoch, with what was measured at its end."""
        facts = {"loss": self.state.epoch.pop(), **metrics}
        self.state.history.append(facts)
        self._write("epoch", epoch, step, {**facts, "seconds": self.state.seconds})
        self.state.window.pop()
        self.state.norms.pop()
        self.meter.reset()

    def _write(self, event: str, epoch: int, step: int, facts: Mapping[str, float]) -> None:
        self._write_line(event, epoch, step, facts)
        self.state.lines += 1
        self._progress.advance(0, epoch=epoch, **facts)


def top_k_hits(logits: Tensor, label: Tensor, ks: tuple[int, ...] = (1, 5)) -> Tensor:
    """Count the clips whose label is among the k highest logits.

    Args:
        logits: (N, classes).
        label: (N,) int64.
        ks: the k to count for; a k beyond the classes counts every clip.

    Returns:
        (len(ks),) int64 on the device of `logits`.
    """
    ranked = logits.argsort(dim=1, descending=True, stable=True)
    right = ranked == label[:, None]
    return right.cumsum(dim=1)[:, [min(k, logits.shape[1]) - 1 for k in ks]].sum(dim=0)
