"""Progress on standard error: a bar on a terminal, JSON lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mamp_schemas.progress import NullProgress, Progress
from mampctl.output.console import is_quiet, print_note
from mampctl.output.log import log_event

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.progress import TaskID


MIN_EVENT_INTERVAL_S = 5.0
"""Off a terminal, a running task writes at most one line in this time."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show progress: a bar with rate and time left on a terminal, otherwise one JSON line an event.

    A quiet command shows warnings only.
    """
    if is_quiet():
        yield MessagesOnly()
    elif sys.stderr.isatty():
        with TerminalProgress() as bars:
            yield bars
    else:
        events = JsonProgress()
        yield events
        events.close()


class MessagesOnly(NullProgress):
    """No progress, messages only; of these a quiet command says the warnings."""

    def message(self, text: str) -> None:
        """Say one line."""
        print_note(text)


class JsonProgress:
    """Progress as JSON lines."""

    def __init__(self) -> None:
        self._task, self._unit, self._total, self._done, self._before = "", "", 0, 0, 0
        self._started = self._written = time.monotonic()
        self._facts: dict[str, float | int | str] = {}
        self._open = False

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task."""
        self.close()
        self._task, self._unit, self._total, self._done, self._before = task, unit, total, done, done
        self._started = self._written = time.monotonic()
        self._facts, self._open = {}, True
        self._write("start", done=done, total=total, unit=unit)

    def advance(self, count: int, **facts: float | int | str) -> None:
        """Report units done."""
        self._done += count
        self._facts = facts or self._facts
        if time.monotonic() - self._written >= MIN_EVENT_INTERVAL_S:
            self._progress("progress")

    def message(self, text: str) -> None:
        """Say one line."""
        if self._done == self._total:
            self.close()
        self._write("message", text=text)

    def close(self) -> None:
        """End the current task."""
        if self._open:
            self._progress("end")
            self._open, self._task = False, ""

    def _progress(self, event: str) -> None:
        self._written = time.monotonic()
        seconds = self._written - self._started
        rate = (self._done - self._before) / seconds if seconds else 0.0
        left = round((self._total - self._done) / rate, 1) if rate else None
        done = {"done": self._done, "total": self._total, "unit": self._unit}
        times = {"seconds": round(seconds, 1), "per_second": round(rate, 1), "seconds_left": left}
        self._write(event, **{**self._facts, **done, **times})

    def _write(self, event: str, **facts: object) -> None:
        log_event(event, **({"task": self._task} if self._task else {}), **facts)


class TerminalProgress:
    """Progress as a bar on a terminal, and below it a line of facts: loss, learning rate, clips/s."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._task: TaskID | None = None
        self._unit, self._facts, self._before = "", "", 0
        self._console = console or Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4)

    def __enter__(self) -> "TerminalProgress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task."""
        self._live.refresh()  # the last task's facts, before they go
        self._unit, self._facts, self._before = unit, "", done
        self._task = self._bars.add_task(task, total=total, completed=done, unit=unit, rate="")

    def advance(self, count: int, **facts: float | int | str) -> None:
        """Report units done."""
        if facts:
            self._facts = "  ".join(f"{name} {_format_value(value)}" for name, value in facts.items())
        if self._task is None:
            return
        self._bars.update(self._task, advance=count)
        task = self._bars.tasks[self._task]
        # rich knows no speed before some ticks; a short task has none of its own
        speed = task.speed or ((task.completed - self._before) / task.elapsed if task.elapsed else None)
        if speed:
            self._bars.update(self._task, rate=f"{speed:,.1f}/s")

    def message(self, text: str) -> None:
        """Say one line."""
        self._console.print(text, highlight=False, markup=False)

    def _render(self) -> "Group":
        from rich.console import Group
        from rich.text import Text

        facts = [Text(f"  {self._facts}", overflow="ellipsis", no_wrap=True)] if self._facts else []
        return Group(self._bars.get_renderable(), *facts)


def _format_value(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
