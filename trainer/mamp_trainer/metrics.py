"""Owns what a run tells of itself: RUN/metrics.jsonl, TensorBoard events, progress; and counts of right answers."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from mamp_schemas.output import output_errors
from mamp_schemas.progress import Progress
from mamp_trainer.output import write_file
from mamp_trainer.tally import Tally

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Metrics:
    """Writes a run's metrics; a context manager. Whatever a resumed run had written after `step` is cut off.

    Args:
        run: the run's folder.
        progress: who watches.
        tally: what is known so far; goes on to be updated.
        step: optimiser steps done.
    """

    def __init__(self, run: Path, progress: Progress, tally: Tally, step: int) -> None:
        self.tally = tally
        self._path = run / METRICS_FILE
        self._progress = progress
        with output_errors(self._path):
            kept = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
            write_file(self._path, "".join(kept[: tally.lines]).encode())
            self._file = self._path.open("a")
            self._board = SummaryWriter(run / TENSORBOARD_FOLDER, purge_step=step + 1)
        self._clips, self._since = 0, time.monotonic()
        self._started = self._since - tally.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with output_errors(self._path):
            self._file.close()
            self._board.close()

    def add_step(self, clips: int) -> None:
        """Count a step and its clips."""
        self._clips += clips
        self._progress.advance(1)

    def add_losses(self, losses: Sequence[float]) -> None:
        """Take in the losses of steps that were counted before."""
        self.tally.window.add(losses)
        self.tally.epoch.add(losses)
        self.tally.seconds = time.monotonic() - self._started

    def log_steps(self, epoch: int, step: int, lr: float) -> None:
        """Write a line about the steps since the last one.

        Args:
            epoch: the 1-based epoch.
            step: optimiser steps done.
            lr: of the last of them.
        """
        now = time.monotonic()
        rate = self._clips / max(now - self._since, 1e-9)
        self._clips, self._since = 0, now
        facts = {"loss": self.tally.window.take(), "lr": lr, "clips_per_s": rate}
        self._write("train", epoch, step, facts)

    def log_epoch(self, epoch: int, step: int, measured: Mapping[str, float]) -> None:
        """Write a line about an epoch, with what was measured at its end."""
        facts = {"loss": self.tally.epoch.take(), **measured}
        self.tally.history.append(facts)
        self._write("epoch", epoch, step, {**facts, "seconds": self.tally.seconds})
        self.tally.window.take()
        self._clips, self._since = 0, time.monotonic()

    def _write(self, event: str, epoch: int, step: int, facts: Mapping[str, float]) -> None:
        with output_errors(self._path):
            self._file.write(json.dumps({"event": event, "epoch": epoch, "step": step, **facts}) + "\n")
            self._file.flush()
            for name, value in facts.items():
                self._board.add_scalar(f"{event}/{name}", value, step)
        self.tally.lines += 1
        self._progress.advance(0, epoch=epoch, **facts)


def top_hits(logits: Tensor, label: Tensor, ks: tuple[int, ...] = (1, 5)) -> Tensor:
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
