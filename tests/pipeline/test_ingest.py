"""An ingest gives the same store however it is divided, interrupted or repeated, and never half a one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.build import ingest as ingest_module
from mamp_pipeline.build import plan
from mamp_pipeline.build.ingest import Ingest, ingest
from mamp_pipeline.store import layout, write
from mamp_pipeline.store.check import verify
from mamp_pipeline.store.read import is_complete, open_store
from mamp_schemas.errors import OutputError, StoreError
from mamp_schemas.policy import paper_policy
from mamp_schemas.progress import Silent
from tests.paths import GOLDEN

RAW = GOLDEN / "ntu60" / "raw.zip"


def request(out: Path) -> Ingest:
    return Ingest("ntu60", (RAW,), out, paper_policy("ntu60"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "ntu60.zarr"
    ingest(request(out), Silent())
    return out


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (layout, write):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
        monkeypatch.setattr(module, "SHARD_ROWS", 256)


@pytest.mark.usefixtures("small_parts", "small_shards")
def test_ingest__division_changes_nothing(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "ntu60.zarr"
    assert ingest(request(out), Silent()).content_hash == open_store(whole).metadata.content_hash
    one, other = open_store(whole), open_store(out)
    for name in ("joints", "motion", "intensity"):
        rows = one.metadata.counts.rows
        np.testing.assert_array_equal(one.rows(name, 0, rows), other.rows(name, 0, rows))
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other.columns[name])
    assert verify(other, Silent()).problems == ()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("task", ["parse_part", "pack_shard", "write_metadata"])
def test_ingest__goes_on_after_an_interruption(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    out, calls = tmp_path / "ntu60.zarr", []
    original = getattr(ingest_module, task)

    def interrupted(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == (3 if task == "parse_part" else 1):
            raise KeyboardInterrupt
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, task, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), Silent())
    assert not is_complete(out)
    staged = list(tmp_path.glob("*.staging/part-*.npz"))
    before = {path: path.stat().st_mtime_ns for path in staged}
    done: list[Path] = []
    monkeypatch.setattr(ingest_module, "discard", lambda staging: done.extend(p for p in staging.iterdir()))
    assert ingest(request(out), Silent()).content_hash == open_store(whole).metadata.content_hash
    assert before
    assert {path: path.stat().st_mtime_ns for path in staged} == before
    assert verify(open_store(out), Silent()).problems == ()


@pytest.mark.usefixtures("small_parts")
def test_ingest__a_damaged_piece_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ntu60.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "create_arrays", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), Silent())
    piece = sorted(tmp_path.glob("*.staging/part-*.npz"))[1]
    piece.write_bytes(piece.read_bytes()[:-200])
    with pytest.raises(StoreError, match=piece.name):
        ingest(request(out), Silent())
    assert not is_complete(out)


def test_ingest__pieces_of_another_plan_are_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ntu60.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "create_arrays", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), Silent())
    other = Ingest("ntu60", (GOLDEN / "ntu120" / "raw.zip",), out, paper_policy("ntu60"))
    metadata = ingest(other, Silent())
    assert metadata.counts.clips == len(open_store(out).ids)
    assert all("A042" not in name for name in open_store(out).ids if name.startswith("S001C001"))


def test_ingest__a_full_disk_is_an_error_and_leaves_nothing_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "ntu60.zarr"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out))

    monkeypatch.setattr(ingest_module, "pack_shard", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        ingest(request(out), Silent())
    assert "Free some space" in caught.value.remedy
    assert not is_complete(out)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("size", ["1m", "3m"], ids=["while parsing", "while packing"])
def test_ingest__on_a_really_full_disk(tmp_path: Path, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        command = [sys.executable, "-m", "mampctl", "ingest", "ntu60", "--raw", RAW, "--out", disk / "ntu60.zarr"]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        assert outcome.returncode == 1
        assert "The disk is full" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        assert not is_complete(disk / "ntu60.zarr")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_write_shard__refuses_half_a_shard(whole: Path, tmp_path: Path) -> None:
    store = open_store(whole)
    columns = {**store.columns}
    write.create_arrays(tmp_path / "s.zarr", 70_000, store.metadata.skeleton, columns)
    rows = {"joints": np.zeros((10, 25, 3), dtype=np.float32)}
    with pytest.raises(StoreError, match="two tasks writing one shard"):
        write.write_shard(tmp_path / "s.zarr", layout.RowRange(10, 20), rows)
