"""Text for users. Results go to standard output, notes and errors to standard error."""

import json
import sys
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from mamp_schemas.errors import MampctlError
from mampctl.output.log import log_event

_STARTED = ContextVar("started", default=0.0)


def start_timer() -> None:
    """Begin to count the seconds of a command."""
    _STARTED.set(time.monotonic())


def elapsed() -> float:
    """Return the seconds since this command began."""
    return time.monotonic() - _STARTED.get()


def print_interrupted(how_to_continue: str) -> None:
    """Write that the command was stopped by a signal, and what to do next; --quiet does not silence it."""
    text = f"interrupted: {how_to_continue}"
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
    else:
        log_event("message", level="warning", text=text)


def print_error(error: MampctlError) -> None:
    """Write an error and its remedy to standard error."""
    if not sys.stderr.isatty():
        log_event("error", text=error.message, remedy=error.remedy)
        return
    sys.stderr.write(f"error: {error.message}\n")
    if error.remedy:
        sys.stderr.write(f"  {error.remedy}\n")


def print_line(text: str = "") -> None:
    """Write one line of a result."""
    sys.stdout.write(f"{text}\n")


def print_summary(subject: object, summary: str) -> None:
    """Write what a command made, where, and how long it took since it began."""
    print_line(f"{subject}: {summary}, {elapsed():.1f} s")


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
