"""Owns what a run remembers of its losses and measurements, across checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


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
