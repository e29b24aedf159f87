"""Tables of results on standard output."""

import io
import sys

import pytest

from mampctl.output.console import print_table

ROWS = [("x" * 150, 1, "+3.5"), ("[bold] y", 22, "–")]


def test_print_table__off_a_terminal_is_columns_of_any_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, ("name", "clips", "difference"))
    assert capsys.readouterr().out.splitlines() == [
        f"{'name':<150}  clips  difference",
        f"{'x' * 150}      1  +3.5",
        f"{'[bold] y':<150}     22  –",
    ]


def test_print_table__on_a_terminal_fits_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    print_table(ROWS, ("name", "clips", "difference"))
    lines = terminal.getvalue().splitlines()
    assert "".join(lines).count("x") == 150
    assert max(map(len, lines)) <= 80
