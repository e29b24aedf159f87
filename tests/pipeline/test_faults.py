"""Processes killed at random moments, then the same command again: the same store, and nothing left over."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mamp_pipeline.store.check import verify
from mamp_pipeline.store.read import is_complete, open_store
from mamp_pipeline.synth import synthesise
from mamp_schemas.progress import Silent
from tests.pipeline.clusters import run_cluster
from tests.pipeline.victims import Victim

FEW = [pytest.param(moment, id=f"moment{moment}") for moment in range(2)]
MANY = [pytest.param(moment, id=f"moment{moment}", marks=pytest.mark.soak) for moment in range(2, 20)]
moments = pytest.mark.parametrize("moment", FEW + MANY)


@dataclass(frozen=True)
class Undisturbed:
    """An ingest that nothing happened to: its input, its content hash, how long its work took."""

    raw: Path
    content_hash: object
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    synthesise("ntu60", folder / "raw.zip", clips=60, classes=10, setups=4, subjects=10, seed=3)
    with command(folder / "raw.zip", folder / "ntu60.zarr") as victim:
        victim.wait_for_work()
        started = time.monotonic()
        metadata = victim.finish()
    return Undisturbed(folder / "raw.zip", metadata["content_hash"], time.monotonic() - started)


@contextmanager
def command(raw: Path, out: Path, *options: object) -> Iterator[Victim]:
    victim = Victim(raw, out, *(options or ("--workers", 2)))
    try:
        yield victim
    finally:
        victim.close()


def wait_for_moment(victim: Victim, undisturbed: Undisturbed, seed: str) -> None:
    victim.wait_for_work()
    time.sleep(random.Random(seed).uniform(0, undisturbed.seconds))


def check_store(out: Path, metadata: dict[str, object], undisturbed: Undisturbed) -> None:
    assert metadata["content_hash"] == undisturbed.content_hash
    assert verify(open_store(out), Silent()).problems == ()
    assert not out.with_name(f"{out.name}.staging").exists()
    assert not list(out.rglob("*.part*"))


@moments
def test_kill__the_command_itself(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        wait_for_moment(victim, undisturbed, f"command {moment}")
        killed = victim.end(signal.SIGKILL) != 0
    assert not killed or not is_complete(out) or open_store(out).metadata.content_hash == undisturbed.content_hash
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)


@moments
def test_kill__a_worker(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    """The command survives it: the worker's task is done again."""
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        wait_for_moment(victim, undisturbed, f"worker {moment}")
        with suppress(psutil.NoSuchProcess):
            for worker in victim.workers()[:1]:
                worker.kill()
        check_store(out, victim.finish(), undisturbed)


@moments
def test_kill__the_scheduler(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    out = tmp_path / "ntu60.zarr"
    with (
        run_cluster(tmp_path, workers=2) as running,
        command(undisturbed.raw, out, "--scheduler", running.address) as victim,
    ):
        wait_for_moment(victim, undisturbed, f"scheduler {moment}")
        running.scheduler.kill()
        victim.process.communicate(timeout=60)
        if victim.process.returncode:
            assert victim.process.returncode == 1
            assert "error: " in victim.stderr()
            assert "Traceback" not in victim.stderr()
            assert not is_complete(out)
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)


def test_interrupt__ends_at_once_and_goes_on_later(undisturbed: Undisturbed, tmp_path: Path) -> None:
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        while not list(victim.staging.glob("part-*")) and victim.process.poll() is None:
            time.sleep(0.005)
        started = time.monotonic()
        assert victim.end(signal.SIGINT) == 130
        assert time.monotonic() - started < 10
    assert list(victim.staging.glob("part-*"))
    assert not is_complete(out)
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)
        assert "parts are parsed already" in victim.stderr()
