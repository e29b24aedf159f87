"""Engines run every job once, take them as there is room, and say what went wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest.engines import dask_engine as cluster
from mamp_pipeline.ingest.engines.base import Engine, LocalEngine, Workers
from mamp_pipeline.ingest.engines.select import open_engine
from mamp_pipeline.ingest.engines.worker_check import ProbeSpec
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_schemas.errors import MissingExtraError, RawInputError
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN
from tests.pipeline.engine_tasks import die_once, refuse, square, stumble_twice, tell_process

NOTHING = ProbeSpec(Path("nowhere"), ())


@pytest.fixture(scope="module")
def crew() -> Iterator[Engine]:
    with cluster.start_local_cluster(2) as engine:
        yield engine


def test_in_process__runs_jobs_in_order_and_takes_them_one_by_one() -> None:
    results = LocalEngine().run(square, count())
    assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 4)]


def test_open_engine__one_part_starts_no_processes(caplog: pytest.LogCaptureFixture) -> None:
    with open_engine(Workers(8), 1, NOTHING) as engine:
        assert isinstance(engine, LocalEngine)
    assert caplog.messages == ["one part: it is done in this process"]


def test_open_engine__no_workers_is_this_process() -> None:
    with open_engine(Workers(0), 100, NOTHING) as engine:
        assert isinstance(engine, LocalEngine)


def test_start_cluster__runs_every_job_once_in_other_processes(crew: Engine) -> None:
    assert sorted(crew.run(square, range(50))) == [(number, number * number) for number in range(50)]
    processes = {process for _, process in crew.run(tell_process, range(20))}
    assert os.getpid() not in processes
    assert len(processes) == 2


def test_start_cluster__no_jobs(crew: Engine) -> None:
    assert list(crew.run(square, [])) == []


def test_start_cluster__holds_few_jobs_at_a_time(crew: Engine) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for number in range(200):
            taken.append(number)
            yield number

    ahead = [len(taken) - done for done, _ in enumerate(crew.run(square, jobs()))]
    assert max(ahead) <= 2 * 2 + 1


def test_start_cluster__an_error_of_ours_arrives_whole_and_is_not_tried_again(crew: Engine, tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="not there") as caught:
        list(crew.run(refuse, [tmp_path / "count"]))
    assert caught.value.remedy == "Look for it."
    assert (tmp_path / "count").stat().st_size == 1


def test_start_cluster__another_error_is_tried_again(crew: Engine, tmp_path: Path) -> None:
    assert [result for _, result in crew.run(stumble_twice, [tmp_path / "count"])] == [3]


def test_start_cluster__a_job_whose_worker_died_is_done_by_another(tmp_path: Path) -> None:
    with cluster.start_local_cluster(2) as engine:
        assert len(list(engine.run(die_once, [tmp_path / "mark"]))) == 1


def test_start_cluster__leaves_no_process_behind() -> None:
    with cluster.start_local_cluster(2) as engine:
        processes = {process for _, process in engine.run(tell_process, range(20))}
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_ingest__processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)
    hashes = []
    for name, workers in (("one", Workers(0)), ("two", Workers(2))):
        request = IngestRequest(
            "ntu60", (GOLDEN / "ntu60" / "raw.zip",), tmp_path / f"{name}.zarr", dataset_spec("ntu60").paper_policy
        )
        hashes.append(ingest(request, NullProgress(), workers).content_hash)
    assert hashes[0] == hashes[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.zarr", "two.zarr"]


BLOCKED = """
import sys
sys.modules["dask"] = sys.modules["distributed"] = None
from mampctl.runtime.main import main
main()
"""


def _without_dask(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, "ingest", "ntu60", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_ingest__without_dask_in_this_process(tmp_path: Path) -> None:
    outcome = _without_dask("--raw", GOLDEN / "ntu60" / "raw.zip", "--out", tmp_path / "s.zarr", "--workers", 0)
    assert outcome.returncode == 0, outcome.stderr


def test_open_engine__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "mamp_pipeline.ingest.engines.dask_engine")
    monkeypatch.delattr("mamp_pipeline.ingest.engines.dask_engine")
    with pytest.raises(MissingExtraError, match="distributed") as caught:
        open_engine(Workers(2), 2, NOTHING)
    assert "mampctl[pipeline]" in caught.value.remedy
    assert "--workers 0" in caught.value.remedy
