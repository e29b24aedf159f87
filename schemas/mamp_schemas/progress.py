"""The protocol by which long work reports its progress, and an implementation that does nothing."""

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one piece of long work. What has to be said in words goes to `logging`."""

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task of `total` units (`files`, `clips`, `steps`), of which an earlier run did `done`."""

    def advance(self, count: int, **values: float | int | str) -> None:
        """Report `count` more units done, with values worth showing (loss, lr, MB/s)."""


class NullProgress:
    """Progress that is not shown."""

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task."""

    def advance(self, count: int, **values: float | int | str) -> None:
        """Report units done."""
