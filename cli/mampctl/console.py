"""What a user reads: results on standard output; notes and errors on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from mamp_schemas.errors import MampctlError


def print_note(text: str) -> None:
    """Say one line outside of any progress: a choice made for the user."""
    sys.stderr.write((text if sys.stderr.isatty() else json.dumps({"event": "message", "text": text})) + "\n")


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
