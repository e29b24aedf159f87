"""Writes checkpoints while training goes on: one at a time, in a thread."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from mamp_trainer.checkpoint.files import Snapshot
from mamp_trainer.checkpoint.keep import save_checkpoint


class CheckpointWriter:
    """Writes a run's checkpoints; a context manager that ends when the last one is written.

    What goes wrong in the thread is raised where training saves next, or ends.

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
        """Have a checkpoint written, after the one before it.

        Raises:
            OutputError: the one before could not be written.
        """
        self.wait()
        self._writing = self._thread.submit(save_checkpoint, self._run, snapshot)

    def wait(self) -> None:
        """Return when all that was submitted is written.

        Raises:
            OutputError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
