"""What a user sees: progress on standard error, results on standard output."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mamp_schemas.errors import MampctlError
from mamp_schemas.progress import Progress

EVENT_SECONDS = 5.0
"""Off a terminal, a running task writes at most one line in this time."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show progress: a bar with rate and time left on a terminal, otherwise one JSON line an event."""
    if sys.stderr.isatty():
        with _Bars() as bars:
            yield bars
    else:
        events = _Events()
        yield events
        events.close()


def print_error(error: MampctlError) -> None:
    """Write an error and its remedy to standard error."""
    sys.stderr.write(f"error: {error.what}\n")
    if error.remedy:
        sys.stderr.write(f"  {error.remedy}\n")


def print_line(text: str = "") -> None:
    """Write one line of a result."""
    sys.stdout.write(f"{text}\n")


def print_json(value: Any) -> None:
    """Write a result as JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    """Write a table in columns; numbers to the right."""
    texts = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[place]) for row in texts) for place in range(len(header))]
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(header))]
    for row in texts:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        print_line("  ".join(cells).rstrip())


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or str(cell).replace(",", "").replace(".", "").lstrip("+-").isdigit()


class _Events:
    """Progress as JSON lines."""

    def __init__(self) -> None:
        self._task, self._unit, self._total, self._done = "", "", 0, 0
        self._started = self._written = time.monotonic()
        self._facts: dict[str, float | int | str] = {}
        self._open = False

    def start(self, task: str, total: int, unit: str) -> None:
        self.close()
        self._task, self._unit, self._total, self._done = task, unit, total, 0
        self._started = self._written = time.monotonic()
        self._facts, self._open = {}, True
        self._write("start", total=total, unit=unit)

    def advance(self, count: int, **facts: float | int | str) -> None:
        self._done += count
        self._facts = facts or self._facts
        if time.monotonic() - self._written >= EVENT_SECONDS:
            self._progress("progress")

    def message(self, text: str) -> None:
        self._write("message", text=text)

    def close(self) -> None:
        if self._open:
            self._progress("end")
            self._open = False

    def _progress(self, event: str) -> None:
        self._written = time.monotonic()
        seconds = self._written - self._started
        rate = self._done / seconds if seconds else 0.0
        left = round((self._total - self._done) / rate, 1) if rate else None
        done = {"done": self._done, "total": self._total, "unit": self._unit}
        times = {"seconds": round(seconds, 1), "per_second": round(rate, 1), "seconds_left": left}
        self._write(event, **{**self._facts, **done, **times})

    def _write(self, event: str, **facts: object) -> None:
        line = {"event": event, **({"task": self._task} if self._task else {}), **facts}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()


class _Bars:
    """Progress as bars on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
            console=Console(stderr=True),
        )
        self._task: Any = None
        self._unit = ""

    def __enter__(self) -> "_Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, task: str, total: int, unit: str) -> None:
        self._unit = unit
        self._task = self._bars.add_task(task, total=total, unit=unit, rate="", facts="")

    def advance(self, count: int, **facts: float | int | str) -> None:
        text = "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
        )
        self._bars.update(self._task, advance=count)
        if text:
            self._bars.update(self._task, facts=text)
        speed = self._bars.tasks[self._task].speed
        if speed:
            self._bars.update(self._task, rate=f"{speed:,.1f} {self._unit}/s")

    def message(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False)
