"""Writes the tables at the end of docs/environment.md: `python docs/environment.py`."""

from itertools import groupby
from pathlib import Path

from mampctl.runtime.app import root_command
from mampctl.runtime.environment import OptionVariable, list_variables

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- From here on written by `python docs/environment.py`. -->\n"
KINDS = {"one": "", "flag": "`1` or `0`. ", "list": "Several, separated by blanks. "}


def tables() -> str:
    """Return a table of variables for each command."""
    parts = []
    for command, variables in groupby(list_variables(root_command()), key=lambda variable: variable.command):
        title = f"## `{' '.join(('mampctl', command)).rstrip()}`"
        rows = [_row(variable) for variable in variables]
        parts.append("\n".join((title, "", "| variable | option | |", "|---|---|---|", *rows, "")))
    return "\n".join(parts)


def _row(variable: OptionVariable) -> str:
    purpose = KINDS[variable.kind] + " ".join(variable.help.split()).replace("|", "\\|")
    return f"| `{variable.name}` | `{variable.option}` | {purpose} |"


def whole_page() -> str:
    """Return the page with new tables."""
    prose, mark, _ = PAGE.read_text().partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE}: the line behind which the tables stand is gone: {MARK}")
    return f"{prose}{mark}\n{tables()}"


if __name__ == "__main__":
    PAGE.write_text(whole_page())
