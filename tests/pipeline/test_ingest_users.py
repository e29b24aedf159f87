"""Scheduler, workers and the command as processes of different users in different folders: the same store."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN
from tests.pipeline.clusters import Cluster, run_cluster, run_worker, wait_for_workers
from tests.pipeline.victims import SMALL
from tests.s3_server import Bucket
from tests.users import as_user, needs_root, own_folder, shared_folder
from tests.waiting import finish, wait_until

RAW = GOLDEN / "pku1" / "raw.zip"
SCHEDULER, FIRST, SECOND, INGEST = 12_001, 12_002, 12_003, 12_004

pytestmark = needs_root


@pytest.fixture
def base() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


def as_member(base: Path, user: int) -> tuple[str, ...]:
    """Return a prefix: a user of the group who works in a folder of his own, and lets the group write to his files."""
    home = own_folder(base / str(user), user)
    return (*as_user(user), "env", "-C", str(home), f"HOME={home}", "sh", "-c", 'umask 002 && exec "$@"', "sh")


@contextmanager
def run_members(base: Path) -> Iterator[Cluster]:
    """Run a scheduler and two workers, each of a user of its own."""
    with ExitStack() as stack:
        running = stack.enter_context(run_cluster(base, workers=0, ahead=as_member(base, SCHEDULER)))
        users = (FIRST, SECOND)
        workers = [stack.enter_context(run_worker(running.address, as_member(base, user))) for user in users]
        wait_for_workers(running.address, len(users))
        yield Cluster(running.address, running.scheduler, tuple(workers))


def ingest_and_kill(
    base: Path, raw: StoragePath, out: StoragePath, list_pieces: Callable[[], list[str]]
) -> dict[str, object]:
    """Ingest on a cluster, of whose workers one is killed when the first piece is there; return what was made."""
    with run_members(base) as running:
        words = ["ingest", "pku1", "--raw", str(raw), "--out", str(out), "--scheduler", running.address, "--json"]
        line = [*as_member(base, INGEST), sys.executable, "-c", SMALL, *words]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: list_pieces() or process.poll() is not None, "a piece")
            assert process.poll() is None, process.communicate()
            running.workers[0].kill()
            printed, errors = finish(process)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        assert f"2 workers of {running.address}" in errors
    for user in (SCHEDULER, FIRST, SECOND, INGEST):
        assert not list((base / str(user)).iterdir())
    return dict(json.loads(printed))


def check(out: StoragePath, made: dict[str, object], beside: Path) -> None:
    local = ingest(IngestRequest("pku1", (RAW,), beside, dataset_spec("pku1").paper_policy), NullProgress())
    assert made["content_hash"] == local.content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()


def test_ingest__of_four_users_on_a_shared_folder(base: Path, tmp_path: Path) -> None:
    out, staging = base / "pku1.zarr", base / "pku1.zarr.staging"
    made = ingest_and_kill(base, RAW, out, lambda: [path.name for path in staging.glob("part-*")])
    check(out, made, tmp_path / "local.zarr")
    owners = {path.stat().st_uid for path in out.rglob("*") if path.is_file()}
    assert {SECOND, INGEST} <= owners
    assert owners <= {FIRST, SECOND, INGEST}
    assert not staging.exists()


@pytest.mark.soak
def test_ingest__of_four_users_in_a_bucket(base: Path, bucket: Bucket, tmp_path: Path) -> None:
    out, source = bucket.url / "pku1.zarr", bucket.put("raw.zip", RAW)
    made = ingest_and_kill(base, source, out, lambda: [name for name in bucket.names() if "/part-" in name])
    check(out, made, tmp_path / "local.zarr")
    assert not [name for name in bucket.names() if ".staging" in name]
