"""The state of a training, position and losses, which checkpoints keep and metrics are made of."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import nn
from torch.optim import Optimizer

from mamp_schemas.models.recipe import EXECUTION_FIELDS, Recipe
from mamp_schemas.progress import Progress
from mamp_trainer.checkpoints.files import RunIdentity, check_same_run, read_checkpoint
from mamp_trainer.checkpoints.load import load_exact
from mamp_trainer.telemetry.meter import ThroughputMeter
from mamp_trainer.telemetry.writers import discard_metrics


class Position(NamedTuple):
    """Where a run has come to: finished epochs, and steps done in the one after them."""

    epoch: int = 0
    step: int = 0


class StepStats(NamedTuple):
    """What steps left, one number a step: the loss of the global batch, and the norm of its gradient."""

    losses: list[float]
    norms: list[float]


@dataclass
class RunningMean:
    """A running mean; values are added one by one, so that a resumed run's comes out the same."""

    total: float = 0.0
    count: int = 0

    def add(self, values: Sequence[float]) -> None:
        """Add values in their order."""
        for value in values:
            self.total += value
        self.count += len(values)

    def pop(self) -> float:
        """Return the mean and begin anew; NaN of nothing."""
        mean = self.total / self.count if self.count else float("nan")
        self.total, self.count = 0.0, 0
        return mean


@dataclass
class TrainState:
    """What metrics remember, kept in checkpoints.

    Attributes:
        lines: lines of metrics.jsonl so far.
        window, epoch: losses since the last line, and of the epoch so far.
        norms: norms of the gradient since the last line.
        history: one mapping an epoch: its mean loss, and what was measured at its end.
        seconds: time spent, over all sessions of the run.
        started: when the first of them began (UTC, ISO 8601); empty where an older version began the run.
        sittings: how many there were.
    """

    lines: int = 0
    window: RunningMean = field(default_factory=RunningMean)
    epoch: RunningMean = field(default_factory=RunningMean)
    norms: RunningMean = field(default_factory=RunningMean)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    started: str = ""
    sittings: int = 1

    def state_dict(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return what `state` was taken from."""
        means = {name: RunningMean(**state[name]) for name in ("window", "epoch", "norms") if name in state}
        return cls(**{**state, **means})

    def improved(self, measure: str) -> bool:
        """Return whether the last epoch's measure is above those of all epochs before it."""
        *before, last = (epoch[measure] for epoch in self.history)
        return last > max(before, default=float("-inf"))


WriteMetrics = Callable[[str, int, int, Mapping[str, float]], None]
"""Where a line goes: event, epoch, step and facts."""


class MetricsLogger:
    """Makes lines of metrics of what training leaves. On all ranks alike, but only the first writes them.

    Args:
        write: where lines go.
        progress: who watches.
        state: what is known so far; goes on to be updated.
        meter: measures rates and times.
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


def capture_state(optimiser: Optimizer, position: Position, state: TrainState) -> dict[str, Any]:
    """Return what a checkpoint holds besides weights; random draws need no state, being functions of the step."""
    return {"optimiser": optimiser.state_dict(), "position": list(position), "tally": state.state_dict()}


def restore_state(
    folder: Path, recipe: Recipe, identity: RunIdentity, module: nn.Module, optimiser: Optimizer
) -> tuple[Position, TrainState]:
    """Bring module and optimiser to a checkpoint.

    Returns:
        Where the run has come to.

    Raises:
        CheckpointError: the checkpoint is damaged, or was made with another recipe, store, split or encoder;
            names what differs.
    """
    checkpoint = read_checkpoint(folder)
    then, now = (
        {key: value for key, value in data.items() if key not in EXECUTION_FIELDS}
        for data in (checkpoint.recipe, recipe.model_dump(mode="json"))
    )
    before, after = (made.model_dump(exclude={"policy"}) for made in (checkpoint.identity, identity))
    check_same_run(folder, {**then, **before}, {**now, **after})
    load_exact(module, checkpoint.weights, str(folder))
    optimiser.load_state_dict(checkpoint.state["optimiser"])
    return Position(*checkpoint.state["position"]), TrainState.from_state_dict(checkpoint.state["tally"])
