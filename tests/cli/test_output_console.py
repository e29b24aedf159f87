"""Tables of results on standard output."""

import io
import sys

import pytest

from mamp_schemas.errors import MampctlError
from mampctl.output.console import count, print_error, print_line, print_table

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


def test_print_line__text_from_outside_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\x1b[2Jb\0c\x9bd\udcffe\u2028f é 😀\nnext line")
    print_table([("a\x1b[2J\nb", 1)], ("name", "clips"))
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["a\\x1b[2Jb\\x00c\\x9bd\\xffe\\u2028f é 😀", "next line"]
    assert "\x1b" not in out


def test_print_error__on_a_terminal_shows_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    print_error(MampctlError("bad\x1b[31m\nname", remedy="see \0"))
    assert terminal.getvalue() == "error: bad\\x1b[31m\nname\n  see \\x00\n"


@pytest.mark.parametrize(("number", "text"), [(0, "0 epochs"), (1, "1 epoch"), (2000, "2,000 epochs")])
def test_count__has_the_noun_in_its_number(number: int, text: str) -> None:
    assert count(number, "epoch") == text
