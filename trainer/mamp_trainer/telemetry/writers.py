"""Write metrics to RUN/metrics.jsonl and to TensorBoard."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from mamp_schemas.io.atomic import output_errors, write_file
from mamp_schemas.io.run_files import METRICS_FILE, read_metrics_lines

logger = logging.getLogger(__name__)

TENSORBOARD_FOLDER = "tensorboard"


class MetricsWriter:
    """Writes lines of metrics; a context manager. Lines that a resumed run wrote after its checkpoint are cut off.

    Args:
        run: the run's folder.
        lines: lines to keep.
        step: optimiser steps done.

    Raises:
        RecordError: a line to keep is damaged.
        OutputError: nothing can be written there.
    """

    def __init__(self, run: Path, lines: int, step: int) -> None:
        self._path = run / METRICS_FILE
        kept = read_metrics_lines(run, lines)
        if len(kept) < lines:
            logger.warning(
                f"{self._path} has {len(kept)} of the {lines} lines that this run has written: others are lost"
            )
        with output_errors(self._path):
            write_file(self._path, b"".join(kept))
            self._file = self._path.open("a", encoding="utf-8")
            self._board = SummaryWriter(run / TENSORBOARD_FOLDER, purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with output_errors(self._path):
            self._file.close()
            self._board.close()

    def write(self, event: str, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Write a line.

        Args:
            event: `train` or `epoch`.
            epoch: the 1-based epoch.
            step: optimiser steps done.
            values: numbers by name.
        """
        with output_errors(self._path):
            self._file.write(json.dumps({"event": event, "epoch": epoch, "step": step, **values}) + "\n")
            self._file.flush()
            for name, value in values.items():
                self._board.add_scalar(f"{event}/{name}", value, step)


def discard_metrics(event: str, epoch: int, step: int, values: Mapping[str, float]) -> None:
    """Write nothing: for all ranks but the first."""
