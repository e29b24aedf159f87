"""`mampctl ingest` as a process of its own that works in a bucket: killed and run again, in workers, secrets kept."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest.engines.base import Workers
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.store.verify import verify_store
from mamp_pipeline.synth.ntu import synthesise
from mamp_schemas.errors import ClusterError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN
from tests.pipeline.clusters import run_cluster
from tests.pipeline.victims import SMALL
from tests.s3_server import KEY_ID, SECRET, Bucket
from tests.waiting import finish, wait_until

RAW = GOLDEN / "ntu60" / "raw.zip"


def request(out: StoragePath, raw: StoragePath = RAW) -> IngestRequest:
    return IngestRequest("ntu60", (raw,), out, dataset_spec("ntu60").paper_policy)


@contextmanager
def command(raw: StoragePath, out: StoragePath) -> Iterator["subprocess.Popen[str]"]:
    arguments = ["ingest", "ntu60", "--raw", str(raw), "--out", str(out), "--workers", "0", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_object(bucket: Bucket, part: str, process: "subprocess.Popen[str]") -> None:
    wait_until(lambda: any(part in name for name in bucket.names()) or process.poll() is not None, part)


def test_kill__the_command_in_each_phase(bucket: Bucket, tmp_path: Path) -> None:
    synthesise("ntu60", tmp_path / "raw.zip", clips=24, classes=10, setups=4, subjects=10, seed=3)
    raw, out = bucket.put("raw.zip", tmp_path / "raw.zip"), bucket.url / "s.zarr"
    expected = ingest(request(tmp_path / "s.zarr", tmp_path / "raw.zip"), NullProgress()).content_hash
    for moment in ("s.zarr.staging/part-000000", "s.zarr.staging/shard-000000"):
        with command(raw, out) as process:
            wait_for_object(bucket, moment, process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL
        assert not is_complete(out)
    with command(raw, out) as process:
        printed, log = finish(process)
    assert process.returncode == 0, log
    assert json.loads(printed)["content_hash"] == expected
    assert "parts are parsed already" in log
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert [name for name in bucket.names() if not name.startswith("s.zarr/")] == ["raw.zip"]


def test_ingest__two_workers_on_this_machine(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)
    raw, out = bucket.put("raw.zip", RAW), bucket.url / "s.zarr"
    found = ingest(request(out, raw), NullProgress(), Workers(2))
    assert any("2 worker processes" in line for line in caplog.messages)
    assert found.content_hash == ingest(request(tmp_path / "s.zarr"), NullProgress()).content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert not [name for name in bucket.names() if ".staging" in name]


@pytest.mark.parametrize("door", ["open", "closed"])
def test_ingest__tells_no_secret(bucket: Bucket, door: str) -> None:
    """Neither in what it prints nor in what it stores, be it done or refused."""
    raw, out = bucket.put("raw.zip", RAW), bucket.url / "s.zarr"
    with bucket.server.closed() if door == "closed" else nullcontext(), command(raw, out) as process:
        printed, log = finish(process)
    assert process.returncode == (0 if door == "open" else 1), log
    assert ('"event": "error"' in log) == (door == "closed")
    assert "Traceback" not in log
    stored = b"".join(bucket.get(name) for name in bucket.names())
    for secret in (SECRET, KEY_ID, bucket.server.endpoint):
        assert secret not in printed + log
        assert secret.encode() not in stored


@pytest.mark.soak
def test_ingest__on_a_cluster_elsewhere(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its workers have the credentials in their own environment."""
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)
    raw, out = bucket.put("raw.zip", RAW), bucket.url / "s.zarr"
    with run_cluster(tmp_path, workers=2) as running:
        found = ingest(request(out, raw), NullProgress(), Workers(scheduler=running.address))
    assert found.content_hash == ingest(request(tmp_path / "s.zarr"), NullProgress()).content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        (["env", "AWS_ENDPOINT_URL=http://127.0.0.1:9"], "cannot be reached"),
        (["env", "-u", "AWS_SECRET_ACCESS_KEY"], "no credentials"),
    ],
    ids=["endpoint", "credentials"],
)
def test_ingest__a_worker_elsewhere_that_cannot_use_the_bucket(
    bucket: Bucket, tmp_path: Path, lacking: list[str], reason: str
) -> None:
    raw, out = bucket.put("raw.zip", RAW), bucket.url / "s.zarr"
    with (
        run_cluster(tmp_path, before=lacking) as running,
        pytest.raises(ClusterError, match="cannot do this work") as caught,
    ):
        ingest(request(out, raw), NullProgress(), Workers(scheduler=running.address))
    assert str(raw) in caught.value.message
    assert reason in caught.value.message
    assert "environment" in caught.value.remedy
    assert SECRET not in str(caught.value)
