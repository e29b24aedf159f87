"""Write a run's checkpoints in the background; keep the last ones, the best, and those that are kept for good."""

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.atomic import remove_partials
from mamp_schemas.io.run_files import CHECKPOINTS_FOLDER, checkpoint_name, list_checkpoints
from mamp_trainer.checkpoints.files import Snapshot, read_meta, write_checkpoint

KEEP_LAST = 2
"""The latest checkpoints of a run, which are kept: the last one, and its predecessor in case it is damaged."""


def save_checkpoint(run: Path, snapshot: Snapshot) -> Path:
    """Write a checkpoint, then remove the others but the last `KEEP_LAST` ones, the best and those kept for good.

    What cannot be read stays: it may be one to be kept.

    Args:
        run: the run's folder.
        snapshot: its content.

    Raises:
        OutputError: it cannot be written; the earlier checkpoints stay.
    """
    folder = run / CHECKPOINTS_FOLDER / checkpoint_name(snapshot.step)
    write_checkpoint(folder, snapshot)
    kept = {*list_checkpoints(run)[-KEEP_LAST:], best_checkpoint(run)}
    for checkpoint in list_checkpoints(run):
        if checkpoint not in kept and not _is_kept(checkpoint):
            shutil.rmtree(checkpoint)
    remove_partials(folder.parent)
    return folder


def best_checkpoint(run: Path) -> Path | None:
    """Return the checkpoint of the best monitored metric, the earliest of equals; None where there is no metric."""
    measured = [(measure, folder) for folder in list_checkpoints(run) if (measure := _read_measure(folder)) is not None]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None


def find_checkpoint(run: Path, wanted: str) -> Path:
    """Return a checkpoint of a run.

    Args:
        run: the run's folder.
        wanted: the epoch that it closes, counted from 1, or its name, `step-00001234`.

    Raises:
        CheckpointError: the run has none of them; lists those that it has.
    """
    folders = list_checkpoints(run)
    epochs = {folder: _read_epoch(folder) for folder in folders}
    for folder, epoch in epochs.items():
        if wanted == folder.name or (epoch is not None and wanted == str(epoch)):
            return folder
    if not folders:
        raise CheckpointError(f"{run}: there is no checkpoint", remedy="--checkpoint is for the folder of a run.")
    held = ", ".join(folder.name if epoch is None else f"epoch {epoch}" for folder, epoch in epochs.items())
    last = epochs[folders[-1]] or folders[-1].name
    raise CheckpointError(
        f"{run} has no checkpoint '{wanted}'; it has: {held}",
        remedy=f"Choose one of them, such as --checkpoint {last}. A training keeps more with --set keep_every=N.",
    )


def _read_epoch(folder: Path) -> int | None:
    try:
        return read_meta(folder).epoch
    except CheckpointError:
        return None


def _is_kept(folder: Path) -> bool:
    try:
        return read_meta(folder).kept
    except CheckpointError:
        return True


def _read_measure(folder: Path) -> float | None:
    try:
        return read_meta(folder).measure
    except CheckpointError:
        return None  # a damaged checkpoint cannot be the best


class CheckpointWriter:
    """Writes a run's checkpoints; a context manager that ends when the last one is written.

    Errors of the writing thread are raised at the next save, or at the end of training.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mampctl-checkpoint")
        self._writing: Future[Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if problem is None:
            self.wait()

    def submit(self, snapshot: Snapshot) -> None:
        """Write a checkpoint in the background, once the one before is written.

        Raises:
            OutputError: the one before could not be written.
        """
        self.wait()
        self._writing = self._thread.submit(save_checkpoint, self._run, snapshot)

    def wait(self) -> None:
        """Wait until all submitted checkpoints are written.

        Raises:
            OutputError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
