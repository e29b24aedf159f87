"""Progress on standard error: a bar on a terminal, JSON lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mamp_schemas.progress import NullProgress, Progress
from mampctl.output.log import filter_log, is_own_record, is_quiet, log_event

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.progress import TaskID


MIN_EVENT_INTERVAL_S = 5.0
"""Off a terminal, a running task writes at most one line in this time."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show progress: a bar with rate and time left on a terminal, otherwise one JSON line an event.

    A quiet command shows none.
    """
    if is_quiet():
        yield NullProgress()
    elif sys.stderr.isatty():
        with TerminalProgress() as bars:
            yield bars
    else:
        events = JsonProgress()
        with filter_log(events.name_task):
            yield events
        events.close()


class JsonProgress:
    """Progress as JSON lines."""

    def __init__(self) -> None:
        self._task, self._unit, self._total, self._done, self._before = "", "", 0, 0, 0
        self._started = self._written = time.monotonic()
        self._values: dict[str, float | int | str] = {}
        self._open = False

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        """Begin a task."""
        self.close()
        self._task, self._unit, self._total, self._done, self._before = task, unit, total, done, done
        self._started = self._written = time.monotonic()
        self._values, self._open = {}, True
        self._write("start", done=done, total=total, unit=unit)

    def advance(self, count: int, **values: float | int | str) -> None:
        """Report units done."""
        self._done += count
        self._values = values or self._values
        if time.monotonic() - self._written >= MIN_EVENT_INTERVAL_S:
            self._progress("progress")

    def name_task(self, record: logging.LogRecord) -> bool:
        """Add the running task to a log record; a task whose units are all done ends before it."""
        if is_own_record(record):
            if self._done == self._total:
                self.close()
            record.task = self._task
        return True

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
        self._write(event, **{**self._values, **done, **times})

    def _write(self, event: str, **values: object) -> None:
        log_event(event, **({"task": self._task} if self._task else {}), **values)


class TerminalProgress:
    """Progress as a bar on a terminal, and below it a line of values: loss, learning rate, clips/s."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._task: TaskID | None = None
        self._unit, self._values, self._before = "", "", 0
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
        self._live.refresh()  # the last task's values, before they go
        self._unit, self._values, self._before = unit, "", done
        self._task = self._bars.add_task(task, total=total, completed=done, unit=unit, rate="")

    def advance(self, count: int, **values: float | int | str) -> None:
        """Report units done."""
        if values:
            self._values = "  ".join(f"{name} {_format_value(value)}" for name, value in values.items())
        if self._task is None:
            return
        self._bars.update(self._task, advance=count)
        task = self._bars.tasks[self._task]
        # rich has no speed before some updates, and a short task never gets one
        speed = task.speed or ((task.completed - self._before) / task.elapsed if task.elapsed else None)
        if speed:
            self._bars.update(self._task, rate=f"{speed:,.1f}/s")

    def _render(self) -> "Group":
        from rich.console import Group
        from rich.text import Text

        values = [Text(f"  {self._values}", overflow="ellipsis", no_wrap=True)] if self._values else []
        return Group(self._bars.get_renderable(), *values)


def _format_value(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
