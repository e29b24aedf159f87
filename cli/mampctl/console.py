"""What a user reads: results on standard output; notes and errors on standard error."""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from mamp_schemas.errors import MampctlError
from mamp_schemas.progress import ALWAYS_SHOWN_PREFIXES

_QUIET = ContextVar("quiet", default=False)
_STARTED = ContextVar("started", default=0.0)
_run_id = ""
"""Of the process, not of a context: threads write to its log as well, and what is left when a call has failed."""


def set_quiet() -> None:
    """Show no progress and say no notes for the rest of this command."""
    _QUIET.set(True)


def is_quiet() -> bool:
    """Return whether this command is to be quiet."""
    return _QUIET.get()


def start_timer() -> None:
    """Begin to count the seconds of a command."""
    _STARTED.set(time.monotonic())


def elapsed() -> float:
    """Return the seconds since this command began."""
    return time.monotonic() - _STARTED.get()


def set_run_id(run_id: str) -> None:
    """Give this command's run a name, which its log bears."""
    global _run_id
    _run_id = run_id


def run_id() -> str:
    """Return the name of this command's run."""
    return _run_id


def event_line(event: str, **facts: object) -> str:
    """Return an event as one line of JSON, with the name of the run."""
    named = {"run_id": run_id()} if run_id() else {}
    return json.dumps({"event": event, **named, **facts})


def log_event(event: str, **facts: object) -> None:
    """Write an event to standard error, where nobody sits in front of it."""
    sys.stderr.write(f"{event_line(event, **facts)}\n")
    sys.stderr.flush()


def print_note(text: str) -> None:
    """Say one line outside of any progress: a choice made for the user; a quiet command says only warnings."""
    if is_quiet() and not text.startswith(ALWAYS_SHOWN_PREFIXES):
        return
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
    else:
        log_event("message", text=text)


def print_error(error: MampctlError, hint: str = "") -> None:
    """Write an error, its remedy and what else there is to know to standard error."""
    remedy = " ".join(filter(None, (error.remedy, hint)))
    if not sys.stderr.isatty():
        log_event("error", text=error.message, remedy=remedy)
        return
    sys.stderr.write(f"error: {error.message}\n")
    if remedy:
        sys.stderr.write(f"  {remedy}\n")


def print_line(text: str = "") -> None:
    """Write one line of a result."""
    sys.stdout.write(f"{text}\n")


def print_summary(subject: object, summary: str) -> None:
    """Write what a command made, where, and how long it took since it began."""
    print_line(f"{subject}: {summary}, {elapsed():.1f} s")


def print_hint(*words: object) -> None:
    """Write the command that is likely to be the next one, as a shell takes it."""
    print_line(f"next: mampctl {shlex.join(map(str, words))}")


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
