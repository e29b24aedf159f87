"""`mampctl ingest` with `--workers` and `--scheduler`."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.pipeline.clusters import run_cluster

RAW = GOLDEN / "ntu60" / "raw.zip"


def test_ingest__relative_paths_reach_the_workers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("raw.zip").symlink_to(RAW)
    with run_cluster(tmp_path) as running:
        outcome = run("ingest", "ntu60", "--raw", "raw.zip", "--out", "s.zarr", "--scheduler", running.address)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in Path().iterdir()) == ["raw.zip", "s.zarr"]


def test_ingest__workers_or_a_scheduler_not_both(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", RAW, "--out", tmp_path / "s", "--workers", 2, "--scheduler", "tcp://h:1")
    assert outcome.code == 2
    assert "Give one of them" in outcome.err


def test_ingest__a_small_input_starts_no_processes(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", RAW, "--out", tmp_path / "s.zarr", "--workers", 8)
    assert outcome.code == 0
    assert "one part: it is done in this process" in outcome.err
