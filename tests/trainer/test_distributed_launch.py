"""Starting ranks. The ranks of these tests are programs that do not train."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from mamp_schemas.errors import Interrupted, TrainingError
from mamp_trainer.distributed.launch import launch
from tests.waiting import wait_until

FOREVER = "signal.pause()"


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys, time\nrank = os.environ['RANK']\n{text}"]


def run(text: str) -> int:
    return launch(program(text), 2, cores=2, grace_seconds=0.2)


def test_launch__every_rank_knows_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "OMP_NUM_THREADS")
    text = f"open(os.path.join({str(tmp_path)!r}, rank), 'w').write(' '.join(os.environ[n] for n in {names}))"
    assert launch(program(text), 2, cores=6) == 0
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["0 2 0 2 3", "1 2 1 2 3"]


def test_launch__a_rank_that_fails_without_a_report_ends_the_others() -> None:
    with pytest.raises(TrainingError, match="rank 1 of 2 ended with exit code 7; the other ranks were ended") as failed:
        run(f"sys.exit(7) if rank == '1' else {FOREVER}")
    assert "memory" not in failed.value.remedy


def test_launch__names_a_rank_that_was_killed() -> None:
    with pytest.raises(TrainingError, match="rank 0 of 2 was ended by SIGKILL") as failed:
        run(f"os.kill(os.getpid(), signal.SIGKILL) if rank == '0' else {FOREVER}")
    assert "memory ran out" in failed.value.remedy


def test_launch__ranks_that_stopped_by_themselves_are_no_error() -> None:
    assert run("sys.exit(75)") == 75


def test_launch__a_rank_may_take_longer_than_the_grace_period_to_write_a_checkpoint() -> None:
    assert run("time.sleep(0 if rank == '1' else 0.6); sys.exit(75)") == 75


def test_launch__a_signal_ends_ranks_that_are_still_starting(tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_until(lambda: (tmp_path / "1").exists(), "rank 1 starts")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted, match="SIGTERM"):
        run(f"open(os.path.join({str(tmp_path)!r}, rank), 'w').close()\n{FOREVER}")
    thread.join()


DEAF = """
from mamp_trainer.distributed.env import read_rank_env
from mamp_trainer.distributed.launch import RENDEZVOUS_TIMEOUT, RendezvousStore
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
env = read_rank_env(os.environ)
store = RendezvousStore.connect(env.address, env.port, RENDEZVOUS_TIMEOUT, env.attempt)
store.set_ready(env.rank)
open(os.path.join({folder!r}, rank), 'w').close()
while True:
    time.sleep(1)
"""


def test_launch__a_second_ctrl_c_ends_ranks_that_do_not_hear_the_first(tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists(), "both ranks are ready")
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted, match="SIGINT"):
        launch(program(DEAF.format(folder=str(tmp_path))), 2, cores=2, grace_seconds=60)
    thread.join()
