"""Starting ranks: here the ranks are programs that do not train."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from mamp_schemas.errors import Interrupted, TrainingError
from mamp_trainer.distributed import launch as launching
from mamp_trainer.distributed.launch import launch


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys, time\nrank = os.environ['RANK']\n{text}"]


@pytest.fixture(autouse=True)
def _little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "GRACE_SECONDS", 0.2)


def test_launch__every_rank_knows_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "OMP_NUM_THREADS")
    text = f"open(os.path.join({str(tmp_path)!r}, rank), 'w').write(' '.join(os.environ[n] for n in {names}))"
    assert launch(program(text), 2, cores=6) == 0
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["0 2 0 2 3", "1 2 1 2 3"]


def test_launch__a_rank_that_fails_without_a_word_ends_the_others() -> None:
    started = time.monotonic()
    with pytest.raises(TrainingError, match="rank 1 of 2 ended with 7, and so the others were ended"):
        launch(program("sys.exit(7) if rank == '1' else time.sleep(60)"), 2, cores=2)
    assert time.monotonic() - started < 20


def test_launch__a_rank_that_was_killed_is_named() -> None:
    with pytest.raises(TrainingError, match="rank 0 of 2 was ended by SIGKILL"):
        launch(program("os.kill(os.getpid(), signal.SIGKILL) if rank == '0' else time.sleep(60)"), 2, cores=2)


def test_launch__ranks_that_stopped_by_themselves_are_no_error() -> None:
    assert launch(program("sys.exit(75)"), 2, cores=2) == 75


def test_launch__the_first_rank_may_take_its_time_to_write_a_checkpoint() -> None:
    assert launch(program("time.sleep(0 if rank == '1' else 0.6); sys.exit(75)"), 2, cores=2) == 75


def test_launch__a_signal_ends_ranks_that_are_still_starting() -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Interrupted, match="SIGTERM"):
        launch(program("time.sleep(60)"), 2, cores=2)
