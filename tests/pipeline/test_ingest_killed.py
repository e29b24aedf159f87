"""Processes killed at random moments, then the same command again: the same store, and nothing left over."""

import random
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mamp_pipeline.store.verify import verify_store
from mamp_pipeline.synth.ntu import synthesise
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.progress import NullProgress
from tests.pipeline.clusters import run_cluster
from tests.pipeline.victims import PART_BYTES, SHARD_ROWS, Victim
from tests.waiting import finish

CLIPS = 120
MOMENTS = 22
FEW = [pytest.param(moment, id=f"moment{moment}") for moment in (0, 1)]
MANY = [pytest.param(moment, id=f"moment{moment}", marks=pytest.mark.soak) for moment in range(2, MOMENTS)]
moments = pytest.mark.parametrize("moment", FEW + MANY)


@dataclass(frozen=True)
class Undisturbed:
    """An ingest that nothing happened to: its input, its content hash, how many parts and shards it was done in."""

    raw: Path
    content_hash: object
    parts: int
    shards: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    synthesise("ntu60", folder / "raw.zip", clips=CLIPS, classes=10, setups=4, subjects=10, seed=3)
    with command(folder / "raw.zip", folder / "ntu60.zarr", "--workers", 0) as victim:
        metadata = victim.finish()
    with zipfile.ZipFile(folder / "raw.zip") as archive:
        text = sum(member.file_size for member in archive.infolist())
    shards = -(-open_store(folder / "ntu60.zarr").metadata.counts.rows // SHARD_ROWS)
    return Undisturbed(folder / "raw.zip", metadata["content_hash"], text // PART_BYTES, shards)


@contextmanager
def command(raw: Path, out: Path, *options: object) -> Iterator[Victim]:
    victim = Victim(raw, out, *(options or ("--workers", 2)))
    try:
        yield victim
    finally:
        victim.close()


def choose_moment(undisturbed: Undisturbed, target: str, moment: int) -> tuple[str, int, float]:
    """Return what is to stand in the staging folder, how many of it, and how long to wait after that.

    Moments take turns at parsing and packing. They lie in the first half of either, so that the work is still
    under way when the signal arrives, on a busy machine too.
    """
    draw = random.Random(f"{target} {moment}")
    pattern, count = (("part-*", undisturbed.parts), ("shard-*", undisturbed.shards))[moment % 2]
    return pattern, draw.randint(1, max(1, count // 2)), draw.uniform(0, 0.005)


def wait_for_moment(victim: Victim, undisturbed: Undisturbed, target: str, moment: int) -> None:
    """Return in the middle of the work, which is seen to be under way."""
    pattern, count, pause = choose_moment(undisturbed, target, moment)
    victim.wait_for(pattern, count)
    time.sleep(pause)
    assert victim.process.poll() is None, victim.stderr()
    assert not is_complete(victim.out)


def check_store(out: Path, metadata: dict[str, object], undisturbed: Undisturbed) -> None:
    assert metadata["content_hash"] == undisturbed.content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert not out.with_name(f"{out.name}.staging").exists()
    assert not list(out.rglob("*.partial"))


@moments
def test_kill__the_command_itself(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        wait_for_moment(victim, undisturbed, "command", moment)
        assert victim.end(signal.SIGKILL) == -signal.SIGKILL
    assert not is_complete(out)
    assert victim.staging.exists()
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)


@moments
def test_kill__a_worker(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    """The command survives it: the worker's task is done again."""
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        victim.wait_for("part-*", 1)
        workers = victim.workers()
        assert len(workers) == 2
        wait_for_moment(victim, undisturbed, "worker", moment)
        workers[moment % 2].kill()
        check_store(out, victim.finish(), undisturbed)
        assert "2 worker processes, dashboard at http://127.0.0.1:" in victim.stderr()
        assert not workers[moment % 2].is_running()


@moments
def test_kill__the_scheduler(undisturbed: Undisturbed, tmp_path: Path, moment: int) -> None:
    out = tmp_path / "ntu60.zarr"
    with (
        run_cluster(tmp_path, workers=2) as running,
        command(undisturbed.raw, out, "--scheduler", running.address) as victim,
    ):
        wait_for_moment(victim, undisturbed, "scheduler", moment)
        running.scheduler.kill()
        finish(victim.process)
        assert victim.process.returncode == 1
        assert '"event": "error"' in victim.stderr()
        assert "Traceback" not in victim.stderr()
    assert not is_complete(out)
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)


@pytest.mark.parametrize("moment", ["before workers start", "workers start", "parsing", "packing"])
def test_interrupt__from_a_terminal_is_one_line(undisturbed: Undisturbed, tmp_path: Path, moment: str) -> None:
    """A terminal sends it to all processes: while workers start, while they work."""
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        match moment:
            case "before workers start":
                victim.wait_for_word("raw files")
            case "workers start":
                victim.wait_for_workers(1)
            case "parsing":
                victim.wait_for("part-*", 1)
            case "packing":
                victim.wait_for("shard-*", 1)
        ended = victim.process.poll() is not None
        assert victim.interrupt_all() == (0 if ended else 130)
        lines = [line for line in victim.stderr().splitlines() if not line.startswith("{")]
        assert lines in ([], ["interrupted: run the same command again, it continues where it stopped"])
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)


def test_interrupt__ends_at_once_and_goes_on_later(undisturbed: Undisturbed, tmp_path: Path) -> None:
    out = tmp_path / "ntu60.zarr"
    with command(undisturbed.raw, out) as victim:
        victim.wait_for("part-*", 1)
        assert victim.end(signal.SIGINT) == 130
    assert list(victim.staging.glob("part-*"))
    assert not is_complete(out)
    with command(undisturbed.raw, out) as victim:
        check_store(out, victim.finish(), undisturbed)
        assert "parts are parsed already" in victim.stderr()
