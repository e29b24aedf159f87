"""The protocol by which long work reports its progress, and an implementation that does nothing."""

from typing import Protocol

ALWAYS_SHOWN_PREFIXES = ("warning:", "interrupted:")
"""How messages begin that are shown even where progress is not wanted."""


class Progress(Protocol):
    """Receives the progress of one piece of long work."""

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task of `total` units (`files`, `clips`, `steps`), of which an earlier run did `done`."""

    def advance(self, count: int, **facts: float | int | str) -> None:
        """Report `count` more units done, with facts worth showing (loss, lr, MB)."""

    def message(self, text: str) -> None:
        """Say one line: a choice made, or, beginning with one of `KEPT`, what nobody may miss."""


class NullProgress:
    """Progress that nobody watches."""

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task."""

    def advance(self, count: int, **facts: float | int | str) -> None:
        """Report units done."""

    def message(self, text: str) -> None:
        """Say one line."""
