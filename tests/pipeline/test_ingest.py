"""An ingest gives the same store however it is divided, interrupted or repeated, and never half a one."""

import errno
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest import run as ingest_module
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.ingest.tasks import PackJob
from mamp_pipeline.store import shards, writer
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import OutputError, StoreError
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN

RAW = GOLDEN / "ntu60" / "raw.zip"


def request(out: Path) -> IngestRequest:
    return IngestRequest("ntu60", (RAW,), out, dataset_spec("ntu60").paper_policy)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "ntu60.zarr"
    ingest(request(out), NullProgress())
    return out


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (shards, writer):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    for module in (shards, writer, ingest_module):
        monkeypatch.setattr(module, "SHARD_ROWS", 256)


@pytest.mark.usefixtures("small_parts", "small_shards")
def test_ingest__division_changes_nothing(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "ntu60.zarr"
    assert ingest(request(out), NullProgress()).content_hash == open_store(whole).metadata.content_hash
    one, other = open_store(whole), open_store(out)
    for name in ("joints", "motion", "intensity"):
        rows = one.metadata.counts.rows
        np.testing.assert_array_equal(one.read_rows(name, 0, rows), other.read_rows(name, 0, rows))
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other.columns[name])
    assert verify_store(other, NullProgress()).problems == ()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("task", ["parse_part", "pack_shard", "write_metadata"])
def test_ingest__goes_on_after_an_interruption(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    out, calls = tmp_path / "ntu60.zarr", []
    original = getattr(ingest_module, task)

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == (3 if task == "parse_part" else 1):
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, task, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    assert not is_complete(out)
    staged = list(tmp_path.glob("*.staging/part-*"))
    before = {path: path.stat().st_mtime_ns for path in staged}
    done: list[Path] = []
    monkeypatch.setattr(ingest_module, "remove_staging", lambda staging: done.extend(p for p in staging.iterdir()))
    assert ingest(request(out), NullProgress()).content_hash == open_store(whole).metadata.content_hash
    assert before
    assert {path: path.stat().st_mtime_ns for path in staged} == before
    assert verify_store(open_store(out), NullProgress()).problems == ()


def interrupt_before_packing(out: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "create_arrays", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    return sorted(out.with_name(f"{out.name}.staging").glob("part-*"))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("cut", [1, 200, 3_000, 1_000_000])
def test_ingest__a_piece_cut_short_is_made_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "ntu60.zarr"
    piece = interrupt_before_packing(out, monkeypatch)[1]
    piece.write_bytes(piece.read_bytes()[:-cut])
    assert ingest(request(out), NullProgress()).content_hash == open_store(whole).metadata.content_hash
    assert any(f"{piece.name} is damaged" in text for text in caplog.messages)
    assert verify_store(open_store(out), NullProgress()).problems == ()


@pytest.mark.usefixtures("small_parts")
def test_ingest__altered_rows_of_a_piece_are_noticed_and_made_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "ntu60.zarr"
    piece = interrupt_before_packing(out, monkeypatch)[1]
    data = bytearray(piece.read_bytes())
    data[len(data) // 2] ^= 1
    piece.write_bytes(data)
    with pytest.raises(StoreError, match=piece.name) as caught:
        ingest(request(out), NullProgress())
    assert "Run the same mampctl ingest command again" in caught.value.remedy
    assert not is_complete(out)
    assert ingest(request(out), NullProgress()).content_hash == open_store(whole).metadata.content_hash


@pytest.mark.usefixtures("small_parts")
def test_ingest__a_file_changed_between_the_runs_is_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "ntu60.zarr"
    with zipfile.ZipFile(RAW) as archive:
        archive.extractall(raw)
    files = sorted(raw.rglob("*.skeleton"))
    first = IngestRequest("ntu60", (raw,), out, dataset_spec("ntu60").paper_policy)
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "create_arrays", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(first, NullProgress())
    text = files[0].read_bytes()
    digit = text.rindex(b"1")
    files[0].write_bytes(text[:digit] + b"2" + text[digit + 1 :])
    os.utime(files[0], ns=(1, 1))
    metadata = ingest(first, NullProgress())
    assert sum("made from other files" in text for text in caplog.messages) == 1
    fresh = IngestRequest("ntu60", (raw,), tmp_path / "fresh.zarr", dataset_spec("ntu60").paper_policy)
    assert metadata.content_hash == ingest(fresh, NullProgress()).content_hash


@pytest.mark.usefixtures("small_parts", "small_shards")
def test_ingest__packed_shards_are_not_packed_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, packed = tmp_path / "ntu60.zarr", []
    original = ingest_module.pack_shard

    def counted(job: PackJob, limit: int | None) -> object:
        if limit is not None and len(packed) == limit:
            raise KeyboardInterrupt
        packed.append(job.rows.start)
        return original(job)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "pack_shard", lambda job: counted(job, 3))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    (out / "joints" / "c" / "1" / "0" / "0").unlink()
    first, packed[:] = list(packed), []
    monkeypatch.setattr(ingest_module, "pack_shard", lambda job: counted(job, None))
    assert ingest(request(out), NullProgress()).content_hash == open_store(whole).metadata.content_hash
    assert set(first) & set(packed) == {256}
    assert verify_store(open_store(out), NullProgress()).problems == ()


def interrupt_before_the_mark(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "write_metadata", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())


@pytest.mark.parametrize(("old", "new"), [('"joints": "', '"joints": "0'), ('"table_digest": "', '"table_digest": "0')])
def test_ingest__an_edited_shard_manifest_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    out = tmp_path / "ntu60.zarr"
    interrupt_before_the_mark(out, monkeypatch)
    manifest = tmp_path / "ntu60.zarr.staging" / "shard-000000.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    ingest(request(out), NullProgress())
    assert verify_store(open_store(out), NullProgress()).problems == ()


def test_ingest__a_damaged_owner_marker_is_that_of_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ntu60.zarr"
    interrupt_before_the_mark(out, monkeypatch)
    (tmp_path / "ntu60.zarr.staging" / "plan").write_bytes(b"\xff\xfe\x00")
    ingest(request(out), NullProgress())
    assert verify_store(open_store(out), NullProgress()).problems == ()


@pytest.mark.parametrize("key", ["clips/label/c/0", "clips/label/zarr.json", "joints/zarr.json", "clips/zarr.json"])
def test_ingest__what_was_damaged_between_the_runs_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    out = tmp_path / "ntu60.zarr"
    interrupt_before_the_mark(out, monkeypatch)
    (out / key).write_bytes(b"{")
    ingest(request(out), NullProgress())
    assert verify_store(open_store(out), NullProgress()).problems == ()


@pytest.mark.parametrize("name", ["joints", "motion", "intensity"])
def test_ingest__a_shard_of_the_right_size_with_other_content_is_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / "ntu60.zarr"
    interrupt_before_the_mark(out, monkeypatch)
    file = next(path for path in (out / name / "c").rglob("*") if path.is_file())
    file.write_bytes(bytes(file.stat().st_size))  # as after a power failure
    ingest(request(out), NullProgress())
    assert verify_store(open_store(out), NullProgress()).problems == ()


def test_ingest__killed_between_the_mark_and_the_removal_of_staging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "ntu60.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "remove_staging", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    assert is_complete(out)
    ingest(request(out), NullProgress())
    assert [path.name for path in tmp_path.iterdir()] == ["ntu60.zarr"]


def test_ingest__what_zarr_left_beside_its_objects_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ntu60.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "write_metadata", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    (out / "joints" / "c" / "0" / "0" / "0.abc.partial").write_bytes(b"half a shard")
    ingest(request(out), NullProgress())
    assert not list(out.rglob("*.partial"))


def test_ingest__pieces_of_another_plan_are_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ntu60.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "create_arrays", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out), NullProgress())
    other = IngestRequest("ntu60", (GOLDEN / "ntu120" / "raw.zip",), out, dataset_spec("ntu60").paper_policy)
    metadata = ingest(other, NullProgress())
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
        ingest(request(out), NullProgress())
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
    writer.create_arrays(tmp_path / "s.zarr", 70_000, store.metadata.skeleton, columns)
    rows = {"joints": np.zeros((10, 25, 3), dtype=np.float32)}
    with pytest.raises(StoreError, match="two tasks writing one shard"):
        writer.write_shard(tmp_path / "s.zarr", shards.RowRange(10, 20), rows)


def test_ingest__compression_changes_bytes_only(whole: Path, tmp_path: Path) -> None:
    packed = replace(request(tmp_path / "s.zarr"), compression="zstd")
    assert ingest(packed, NullProgress()).content_hash == open_store(whole).metadata.content_hash
    assert verify_store(open_store(packed.out), NullProgress()).problems == ()
    sizes = [sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) for out in (whole, packed.out)]
    assert sizes[1] < 0.95 * sizes[0]


@pytest.mark.usefixtures("small_shards")
def test_ingest__a_part_of_damaged_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    with zipfile.ZipFile(RAW) as archive:
        archive.extractall(raw)
    files = sorted(raw.rglob("*.skeleton"))
    for file in files[5:9]:
        file.write_bytes(b"1\n1\nnonsense\n")
    monkeypatch.setattr(plan, "PART_BYTES", 1)
    metadata = ingest(
        IngestRequest("ntu60", (raw,), tmp_path / "s.zarr", dataset_spec("ntu60").paper_policy), NullProgress()
    )
    assert metadata.counts.quarantined >= 4
    assert verify_store(open_store(tmp_path / "s.zarr"), NullProgress()).problems == ()
