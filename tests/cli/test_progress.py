"""Progress fits an 80-column terminal, and off a terminal is JSON lines with honest rates."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

import pytest
from rich.console import Console

from mamp_pipeline.synth.ntu import synthesise
from mampctl.output import progress
from mampctl.output.console import set_quiet
from mampctl.output.progress import JsonProgress, TerminalProgress, show_progress
from tests.pipeline.victims import SMALL


def test_bars__show_count_rate_and_facts_in_80_columns() -> None:
    out = io.StringIO()
    with TerminalProgress(Console(file=out, width=80, force_terminal=True, legacy_windows=False)) as bars:
        bars.start("pretrain", 2_480, "steps", 1_000)
        bars.advance(100, epoch=37, loss=0.52561, lr=0.0009532, clips_per_s=123.4)
    shown = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", out.getvalue()).replace("\r", "\n")
    lines = [line for line in shown.splitlines() if "pretrain" in line]
    assert "1100/2480 steps" in lines[-1]
    assert "━" in lines[-1]
    assert "…" not in shown
    assert "loss 0.5256  lr 0.0009532  clips_per_s 123.4" in shown


def test_ingest__on_a_terminal_shows_rates_and_time_left(tmp_path: Path) -> None:
    """As a user sees it: a bar with files and files a second, megabytes a second, and the time left."""
    ours, theirs = pty.openpty()
    synthesise("ntu60", tmp_path / "raw.zip", clips=120, classes=10, setups=4, subjects=10, seed=3)
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL, "ingest", "ntu60", "--raw", "raw.zip", "--out", "s.zarr", "--workers", "0"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # what Linux says at the end of a terminal
        while piece := os.read(ours, 65_536):
            shown += piece
    os.close(ours)
    assert process.wait(timeout=30) == 0
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"parse .*120/120 +files +[\d,.]+/s +\d:\d\d:\d\d", text)
    assert re.search(r"mb_per_s \d", text)


def test_events__are_json_lines_and_close_a_finished_task(capsys: pytest.CaptureFixture[str]) -> None:
    events = JsonProgress()
    events.start("parse", 2, "files")
    events.advance(2, seconds=9.0)
    events.message("done")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["start", "end", "message"]
    assert lines[1]["seconds"] < 9.0
    assert "task" not in lines[2]


def test_events__rate_leaves_out_what_an_earlier_run_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 10.0, 10.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "EVENT_SECONDS", 1.0)
    events = JsonProgress.__new__(JsonProgress)
    events.__init__()  # type: ignore[misc]
    clock = iter([0.0, 10.0, 10.0])
    events.start("pretrain", 200, "steps", 100)
    events.advance(50)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["done"], line["per_second"], line["seconds_left"]) == (150, 5.0, 10.0)


def test_notes__of_a_quiet_command_are_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        set_quiet()
        with show_progress() as shown:
            shown.start("parse", 2, "files")
            shown.message("found 2 files")
            shown.message("warning: one is damaged")
            shown.advance(2)

    copy_context().run(speak)
    assert [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()] == ["warning: one is damaged"]
