"""Progress and log: they fit an 80-column terminal, and are JSON lines elsewhere."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from mamp_pipeline.synth.ntu import synthesise
from mampctl.output import progress
from mampctl.output.log import handle_log
from mampctl.output.progress import TerminalProgress, show_progress
from tests.pipeline.victims import SMALL
from tests.waiting import HANG_SECONDS

logger = logging.getLogger("mamp_pipeline.ingest")


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
    assert process.wait(timeout=HANG_SECONDS) == 0
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"parse .*120/120 +files +[\d,.]+/s +\d:\d\d:\d\d", text)
    assert re.search(r"mb_per_s \d", text)


def test_show_progress__off_a_terminal_is_json_lines_and_ends_a_finished_task(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with handle_log(), show_progress() as shown:
        shown.start("parse", 2, "files")
        logger.info("found 2 files")
        shown.advance(2, seconds=9.0)
        logger.warning("one is damaged")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["start", "message", "end", "message"]
    assert (lines[1]["task"], lines[1]["level"], lines[1]["text"]) == ("parse", "info", "found 2 files")
    assert lines[2]["seconds"] < 9.0
    assert "task" not in lines[3]
    assert (lines[3]["level"], lines[3]["text"]) == ("warning", "one is damaged")


def test_show_progress__rate_leaves_out_what_an_earlier_run_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with show_progress() as shown:
        shown.start("pretrain", 200, "steps", 100)
        now = 1.0
        shown.advance(20)
        assert len(capsys.readouterr().err.splitlines()) == 1, "too soon after the start for another line"
        now = 10.0
        shown.advance(30)
        line = json.loads(capsys.readouterr().err)
    assert (line["done"], line["per_second"], line["seconds_left"]) == (150, 5.0, 10.0)


def test_show_progress__of_a_quiet_command_is_none_but_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    with handle_log(logging.WARNING), show_progress() as shown:
        shown.start("parse", 2, "files")
        logger.info("found 2 files")
        logger.warning("one is damaged")
        shown.advance(2)
    assert [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()] == ["one is damaged"]


def test_handle_log__on_a_terminal_is_text_with_the_level_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with handle_log():
        logger.info("writing to data/ntu60.zarr")
        logger.warning("one is damaged")
        logger.error("no store")
        logging.getLogger("elsewhere").warning("odd")
    assert terminal.getvalue().splitlines() == [
        "writing to data/ntu60.zarr",
        "warning: one is damaged",
        "error: no store",
        "warning: odd",
    ]


def test_handle_log__ends_with_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    level = logger.getEffectiveLevel()
    with handle_log(logging.CRITICAL):
        logger.error("not of this rank")
    assert logger.getEffectiveLevel() == level
    logger.error("nobody listens")
    assert "not of this rank" not in capsys.readouterr().err
