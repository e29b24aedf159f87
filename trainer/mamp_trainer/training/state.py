"""The state of a training: its position, its losses, and the metrics made of them; checkpoints keep it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import nn
from torch.optim import Optimizer

from mamp_schemas.models.recipe import EXECUTION_FIELDS, Recipe
from mamp_schemas.progress import Progress
from mamp_trainer.checkpoints.files import RunIdentity, check_same_run, damaged_error, read_checkpoint
from mamp_trainer.checkpoints.load import load_exact
from mamp_trainer.telemetry.meter import ThroughputMeter
from mamp_trainer.telemetry.writers import discard_metrics


class Position(NamedTuple):
    """How far a run has come: finished epochs, and steps done in the next one."""

    epoch: int = 0
    step: int = 0


class StepStats(NamedTuple):
    """The losses and gradient norms of some steps, one number a step.

    Attributes:
        losses: of the global batch.
        norms: of its gradient.
        parts: named parts of the loss.
    """

    losses: list[float]
    norms: list[float]
    parts: Mapping[str, list[float]] = MappingProxyType({})


@dataclass
class RunningMean:
    """A running mean; values are added one by one, so that a resumed run has the same mean bit for bit."""

    total: float = 0.0
    count: int = 0

    def add(self, values: Sequence[float]) -> None:
        """Add values in their order."""
        for value in values:
            self.total += value
        self.count += len(values)

    def pop(self) -> float:
        """Return the mean and reset it; NaN without values."""
        mean = self.total / self.count if self.count else float("nan")
        self.total, self.count = 0.0, 0
        return mean


@dataclass
class TrainState:
    """The part of a training's state that metrics and the run's record are made of; kept in checkpoints.

    Attributes:
        lines: lines of metrics.jsonl so far.
        window, epoch: losses since the last line, and of the epoch so far.
        norms: norms of the gradient since the last line.
        history: the metrics of each finished epoch, its mean loss among them.
        seconds: time spent, over all sessions of the run.
        started: when the first session began (UTC, ISO 8601).
        sessions: number of sessions.
        threads: CPU threads of each rank; 0 on a GPU.
        window_parts, epoch_parts: as `window` and `epoch`, of each named part of the loss.
    """

    lines: int = 0
    window: RunningMean = field(default_factory=RunningMean)
    epoch: RunningMean = field(default_factory=RunningMean)
    norms: RunningMean = field(default_factory=RunningMean)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    started: str = ""
    sessions: int = 1
    threads: int = 0
    window_parts: dict[str, RunningMean] = field(default_factory=dict)
    epoch_parts: dict[str, RunningMean] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the state that `state_dict` was called on."""
        means = {name: RunningMean(**state[name]) for name in ("window", "epoch", "norms") if name in state}
        parts = {
            name: {part: RunningMean(**mean) for part, mean in state.get(name, {}).items()}
            for name in ("window_parts", "epoch_parts")
        }
        return cls(**{**state, **means, **parts})

    def improved(self, metric: str) -> bool:
        """Return whether the last epoch's metric is above that of all epochs before it."""
        *before, last = (epoch[metric] for epoch in self.history)
        return last > max(before, default=float("-inf"))


LONG_STEP = 2.0
"""Seconds after which a step shows its microbatches, and as often."""

WriteMetrics = Callable[[str, int, int, Mapping[str, float]], None]
"""Writes a line of metrics: event, epoch, step, and numbers by name."""


class MetricsLogger:
    """Turns the losses of steps into lines of metrics; on all ranks alike, but only the first one writes them.

    Args:
        write: writes a line.
        progress: shows the numbers of a line.
        state: running means and history, updated here.
        meter: measures rates and times.
    """

    def __init__(self, write: WriteMetrics, progress: Progress, state: TrainState, meter: ThroughputMeter) -> None:
        self.state, self.meter = state, meter
        self._write_line, self._progress = write, progress
        self._started = time.monotonic() - state.seconds
        self.microbatches_done = 0
        """Of the current step, on this rank."""
        self.measuring = False
        """Whether the test clips are being measured, between two epochs."""
        self._shown: dict[str, float | int | str] = {}
        self._step_began = self._last_shown = time.monotonic()

    def show_microbatches(self, count: int) -> None:
        """Show how far the current step is, if it is a long one; called many times during it.

        Args:
            count: microbatches of a step.
        """
        now = time.monotonic()
        if now - self._step_began >= LONG_STEP and now - self._last_shown >= LONG_STEP:
            self._last_shown = now
            part = {"microbatches": f"{self.microbatches_done} of {count}"}
            self._progress.advance(0, **self._shown, **({"measuring": "test clips"} if self.measuring else part))

    def add_step(self, clips: int, loss_terms: int) -> None:
        """Count a step, the clips of its global batch and the terms of its loss."""
        self.meter.add_step(clips, loss_terms)
        self._progress.advance(1, **self._shown)
        self.microbatches_done, self._step_began = 0, time.monotonic()

    def add_stats(self, stats: StepStats) -> None:
        """Add the losses and gradient norms of steps that have been counted."""
        self.state.window.add(stats.losses)
        self.state.epoch.add(stats.losses)
        self.state.norms.add(stats.norms)
        for name, values in stats.parts.items():
            self.state.window_parts.setdefault(name, RunningMean()).add(values)
            self.state.epoch_parts.setdefault(name, RunningMean()).add(values)
        self.state.seconds = time.monotonic() - self._started

    def log_steps(self, epoch: int, step: int, lr: float) -> None:
        """Write a line about the steps since the last one.

        Args:
            epoch: the 1-based epoch.
            step: optimiser steps done.
            lr: of the last of them.
        """
        loss = {"loss": self.state.window.pop(), **_pop_parts(self.state.window_parts)}
        means = {**loss, "lr": lr, "gradient_norm": self.state.norms.pop()}
        self._write("train", epoch, step, means | self.meter.read(with_peak=self._write_line is not discard_metrics))

    def log_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Write a line about an epoch, with what was measured at its end."""
        values = {"loss": self.state.epoch.pop(), **_pop_parts(self.state.epoch_parts), **metrics}
        self.state.history.append(values)
        self._write("epoch", epoch, step, {**values, "seconds": self.state.seconds})
        self.state.window.pop()
        _pop_parts(self.state.window_parts)
        self.state.norms.pop()
        self.meter.reset()
        self._step_began = time.monotonic()

    def _write(self, event: str, epoch: int, step: int, values: Mapping[str, float]) -> None:
        self._write_line(event, epoch, step, values)
        self.state.lines += 1
        self._shown = {"epoch": epoch, **values}
        self._progress.advance(0, **self._shown)


def _pop_parts(parts: Mapping[str, RunningMean]) -> dict[str, float]:
    return {f"loss_{name}": mean.pop() for name, mean in parts.items()}


def capture_state(
    optimiser: Optimizer, position: Position, state: TrainState, hooks: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a checkpoint holds besides weights; random draws need no state, being functions of the step.

    Args:
        optimiser: the optimiser.
        position: finished epochs, and steps of the current one.
        state: running means and history.
        hooks: what the training's hooks keep; left out where it is empty.
    """
    saved = {"optimiser": optimiser.state_dict(), "position": list(position), "state": state.state_dict()}
    return {**saved, "objective": dict(hooks)} if hooks else saved


def restore_state(
    folder: Path,
    recipe: Recipe,
    identity: RunIdentity,
    module: nn.Module,
    optimiser: Optimizer,
    load_hooks: Callable[[Mapping[str, Any]], None],
) -> tuple[Position, TrainState]:
    """Bring module, optimiser and hooks to a checkpoint.

    Args:
        folder: the checkpoint's.
        recipe: of the run that goes on.
        identity: of that run.
        module: takes the weights.
        optimiser: takes its moments.
        load_hooks: takes what the hooks had kept.

    Returns:
        Finished epochs and steps of the current one; running means and history.

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
    saved = checkpoint.state
    try:
        _load_optimiser(optimiser, saved["optimiser"])
        if "objective" in saved:
            load_hooks(saved["objective"])
        position, state = Position(*saved["position"]), TrainState.from_state_dict(saved["state"])
        _check_counts(position, state, len(saved["position"]))
    except torch.OutOfMemoryError:
        raise
    except _STATE_ERRORS as problem:
        reason = f"its state does not fit: {type(problem).__name__}: {str(problem)[:200]}"
        raise damaged_error(folder, reason) from problem
    return position, state


_STATE_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)
"""What states of another form raise where they are taken up."""


def _load_optimiser(optimiser: Optimizer, saved: Mapping[str, Any]) -> None:
    """Bring an optimiser to its saved state.

    Raises:
        ValueError: settings besides the learning rate, which the schedule sets, or shapes are not the optimiser's.
    """
    for number, (before, now) in enumerate(zip(saved["param_groups"], optimiser.param_groups, strict=True)):
        for name in now.keys() - {"params", "lr"}:
            if before[name] != now[name]:
                raise ValueError(f"'{name}' of group {number} is {before[name]!r}, the recipe's is {now[name]!r}")
    optimiser.load_state_dict(dict(saved))
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"'{name}' has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")


def _check_counts(position: Position, state: TrainState, length: int) -> None:
    """Check what a run counts.

    Raises:
        ValueError: a count is none, or the history is not that of as many epochs.
    """
    counts = (*position, state.lines, state.sessions)
    if length != len(position) or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(f"position {tuple(position)}, {state.lines} lines of metrics, {state.sessions} sessions")
    if len(state.history) != position.epoch:
        raise ValueError(f"the history of {len(state.history)} epochs, {position.epoch} are done")
    datetime.fromisoformat(state.started)
    if not (isinstance(state.seconds, float) and state.seconds >= 0):
        raise ValueError(f"{state.seconds!r} seconds")
