"""A cluster that runs elsewhere: used as it is, refused with the reason where it cannot do the work."""

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest.engines import dask_engine
from mamp_pipeline.ingest.engines.base import Engine, Workers
from mamp_pipeline.ingest.engines.dask_engine import connect_client
from mamp_pipeline.ingest.engines.worker_check import ProbeResult, choose_probe, list_probe_differences, probe
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.ingest.staging import open_staging
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import ClusterError
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN
from tests.pipeline.clusters import Cluster, run_cluster, run_worker, wait_for_workers
from tests.pipeline.engine_tasks import square
from tests.waiting import HANG_SECONDS, wait_until

RAW = GOLDEN / "ntu60" / "raw.zip"
VIEW = ProbeResult("here", {"/raw": "a.skeleton has 3 bytes"}, {"numpy": "2.0", "zarr": "3.1"})


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with run_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


def request(out: Path) -> IngestRequest:
    return IngestRequest("ntu60", (RAW,), out, dataset_spec("ntu60").paper_policy)


def test_ingest__on_a_scheduler_gives_the_same_store(
    elsewhere: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)
    expected = ingest(request(tmp_path / "one.zarr"), NullProgress()).content_hash
    found = ingest(request(tmp_path / "two.zarr"), NullProgress(), Workers(scheduler=elsewhere.address))
    assert found.content_hash == expected
    assert any(message.startswith(f"2 workers of {elsewhere.address}") for message in caplog.messages)
    assert verify_store(open_store(tmp_path / "two.zarr"), NullProgress()).problems == ()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://there"])
def test_join_cluster__no_scheduler_there(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "SCHEDULER_TIMEOUT", 1.0)
    with pytest.raises(ClusterError, match="no Dask scheduler answers") as caught:
        ingest(request(tmp_path / "s.zarr"), NullProgress(), Workers(scheduler=address))
    assert "dask scheduler" in caught.value.remedy


def test_join_cluster__no_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "WORKER_TIMEOUT", 0.5)
    with (
        run_cluster(tmp_path, workers=0) as running,
        pytest.raises(ClusterError, match="has no workers"),
    ):
        ingest(request(tmp_path / "s.zarr"), NullProgress(), Workers(scheduler=running.address))


def test_join_cluster__waits_for_a_first_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dask_engine, "WORKER_TIMEOUT", HANG_SECONDS)
    with run_cluster(tmp_path, workers=0) as running, ThreadPoolExecutor(1) as pool:
        asked = Workers(scheduler=running.address)
        found = pool.submit(ingest, request(tmp_path / "s.zarr"), NullProgress(), asked)
        wait_until(
            lambda: found.done() or any("no worker yet" in message for message in caplog.messages), "the ingest waits"
        )
        with run_worker(running.address):
            assert found.result().counts.clips > 0


@pytest.mark.parametrize("hidden", ["raw", "out"])
def test_join_cluster__a_worker_that_cannot_see_a_path(hidden: str, tmp_path: Path) -> None:
    """The worker gets a mount namespace in which an empty file system covers the folder."""
    for name in ("raw", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "raw" / "raw.zip").symlink_to(RAW)
    cover = f'mount -t tmpfs tmpfs {tmp_path / hidden} && exec "$@"'
    blindfold = ["unshare", "--mount", "sh", "-c", cover, "sh"]
    if subprocess.run([*blindfold, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    asked = IngestRequest(
        "ntu60", (tmp_path / "raw" / "raw.zip",), tmp_path / "out" / "s.zarr", dataset_spec("ntu60").paper_policy
    )
    with (
        run_cluster(tmp_path, before=blindfold) as running,
        pytest.raises(ClusterError, match="cannot do this work") as caught,
    ):
        ingest(asked, NullProgress(), Workers(scheduler=running.address))
    assert str(tmp_path / hidden) in caught.value.message
    assert "every worker mounts" in caught.value.remedy


@contextmanager
def joined(folder: Path) -> Iterator[tuple[Cluster, Engine]]:
    """Join a cluster of one worker."""
    open_staging(folder / "s.zarr", "plan", replacing=False)
    with (
        run_cluster(folder) as running,
        dask_engine.connect_cluster(running.address, choose_probe(folder, [])) as engine,
    ):
        yield running, engine


def test_join_cluster__a_scheduler_that_dies_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_cluster(tmp_path) as running:

        def connect_and_kill(address: str) -> Client:
            client = connect_client(address)
            running.scheduler.kill()
            running.scheduler.wait()
            return client

        monkeypatch.setattr(dask_engine, "connect_client", connect_and_kill)
        monkeypatch.setattr(dask_engine, "SCHEDULER_TIMEOUT", 1.0)
        with pytest.raises(ClusterError, match="lost the connection"):
            ingest(request(tmp_path / "s.zarr"), NullProgress(), Workers(scheduler=running.address))


def test_run__a_scheduler_that_dies(tmp_path: Path) -> None:
    with joined(tmp_path) as (running, engine):
        results = engine.run(square, range(1_000))
        next(results)
        running.scheduler.kill()
        with pytest.raises(ClusterError, match="lost the connection") as caught:
            list(results)
    assert "run the same command again" in caught.value.remedy


def test_run__a_scheduler_that_answers_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "POLL_SECONDS", 0.2)
    with joined(tmp_path) as (running, engine):
        results = engine.run(square, range(1_000))
        next(results)
        monkeypatch.setattr(dask_engine, "SCHEDULER_TIMEOUT", 1.0)
        running.scheduler.send_signal(signal.SIGSTOP)
        with pytest.raises(ClusterError, match="lost the connection"):
            list(results)


def test_run__no_worker_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dask_engine, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(dask_engine, "WORKER_TIMEOUT", 0.5)
    with joined(tmp_path) as (running, engine):
        results = engine.run(square, range(1_000))
        next(results)
        running.workers[0].kill()
        with pytest.raises(ClusterError, match="no worker was left") as caught:
            list(results)
    assert "start workers" in caught.value.remedy
    assert sum("no worker is left" in message for message in caplog.messages) == 1


def test_run__workers_that_come_later_get_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "RECOUNT_SECONDS", 0.0)
    taken = 0

    def count() -> Iterator[int]:
        nonlocal taken
        for job in range(40):
            taken += 1
            yield job

    with joined(tmp_path) as (running, engine):
        results = engine.run(square, count())
        next(results)
        assert taken == 1 + 2  # one is done, two are in flight
        with run_worker(running.address):
            wait_for_workers(running.address, 2)
            next(results)
            assert taken == 2 + 4
            assert len(list(results)) == 38


def test_run__goes_on_with_a_worker_that_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "POLL_SECONDS", 0.2)
    with joined(tmp_path) as (running, engine):
        results = engine.run(square, range(40))
        next(results)
        running.workers[0].kill()
        with run_worker(running.address):
            assert len(list(results)) == 39


def test_list_differences__none_between_equals() -> None:
    assert list_probe_differences(VIEW, replace(VIEW, host="there")) == []


def test_list_differences__names_versions_and_paths() -> None:
    other = ProbeResult("there", {"/raw": "a.skeleton cannot be read"}, {"numpy": "2.1", "zarr": "3.1"})
    version, path = list_probe_differences(VIEW, other)
    assert "numpy 2.1, here is 2.0" in version
    assert "/raw: a.skeleton cannot be read" in path


def test_look__sees_mark_and_samples(tmp_path: Path) -> None:
    staging = open_staging(tmp_path / "s.zarr", "a plan", replacing=False)
    view = probe(choose_probe(staging, find_sources([RAW], find_reader("ntu60")).sources))
    assert "plan a plan" in view.paths[str(staging)]
    assert "with CRC" in view.paths[str(RAW)]
    assert [path.name for path in staging.iterdir()] == ["plan"]
