"""Text for users. Results go to standard output, notes and errors to standard error."""

import json
import sys
import time
from collections.abc import Sequence
from contextvars import ContextVar
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from mamp_schemas.errors import MampctlError
from mampctl.output.log import log_event, printable_lines

if TYPE_CHECKING:
    from mamp_schemas.models.store import StoreMetadata

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
    sys.stderr.write(f"error: {printable_lines(error.message)}\n")
    if error.remedy:
        sys.stderr.write(f"  {printable_lines(error.remedy)}\n")


def allow_any_path() -> None:
    """Let standard output take paths with bytes that are no UTF-8, and write those bytes as they are."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")


def print_line(text: str = "") -> None:
    """Write one line of a result."""
    sys.stdout.write(f"{printable_lines(text)}\n")


def print_summary(subject: object, summary: str) -> None:
    """Write what a command made, and the seconds since it began."""
    print_line(f"{subject}: {summary}, {elapsed():.1f} s")


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not 1: `1 epoch`, `2,000 epochs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count_quarantined(metadata: "StoreMetadata") -> str:
    """Return how many files were quarantined, and for how many reasons where some have several, such as bad labels."""
    files, reasons = len({entry.file for entry in metadata.quarantined}), metadata.counts.quarantined
    return count(files, "file") + (f" (for {reasons:,} reasons)" if reasons != files else "")


def print_json(value: Any) -> None:
    """Write a result as JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    """Write a table in columns, numbers to the right; on a terminal cells are wrapped to its width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column, title in enumerate(header):
        numeric = all(_is_number(row[column]) for row in rows)
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable_lines(str(cell))) for cell in row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _ANY_WIDTH, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print_line(line.rstrip())


_ANY_WIDTH = 10_000
"""Characters of a line off a terminal, where tables are neither wrapped nor cut."""


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or str(cell).replace(",", "").replace(".", "").lstrip("+-").isdigit()
