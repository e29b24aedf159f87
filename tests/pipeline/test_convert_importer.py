"""An import leaves a whole store or none, goes on after an interruption, and records what it knows."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_pipeline.convert import importer as importing
from mamp_pipeline.convert.h5 import read_h5
from mamp_pipeline.convert.importer import import_store
from mamp_pipeline.convert.npz import read_npz
from mamp_pipeline.convert.pyskl import read_pyskl
from mamp_pipeline.store import shards as layout
from mamp_pipeline.store import writer as write
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import OutputError, RawInputError, StoreExistsError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.models.policy import ImportedPolicy
from mamp_schemas.progress import NullProgress
from tests.pipeline.convert_cases import (
    Arrays,
    assert_same_bits,
    import_npz,
    npz_arrays,
    pad,
    round_trip,
    write_npz,
)
from tests.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_npz(tmp_path / "f.npz", npz_arrays([pad(9, "body"), pad(70), pad(300, "copy")], [pad(4)]))


def run(path: Path, out: Path) -> str:
    return import_store(read_npz(path, None, "xsub"), out, NullProgress()).content_hash


def test_import__records_what_it_knows(path: Path) -> None:
    metadata = import_npz(path).metadata
    assert metadata.policy == ImportedPolicy(
        name="imported", origin="npz", ids="made", labels="one_hot", valid_frames="signed_sum", empty_slot="copy"
    )
    assert metadata.policy.digest() == metadata.policy_hash


def test_import__shards_cut_clips_where_they_like(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(path, tmp_path / "whole.zarr")
    for module in (layout, write):
        monkeypatch.setattr(module, "CHUNK_ROWS", 16)
        monkeypatch.setattr(module, "SHARD_ROWS", 64)
    assert run(path, tmp_path / "cut.zarr") == expected
    assert verify_store(open_store(tmp_path / "cut.zarr"), NullProgress()).problems == ()


def mixed(copies: int, zeros: int) -> Arrays:
    return npz_arrays([pad(9, "copy", seed=k) for k in range(copies)] + [pad(9, seed=k) for k in range(zeros)], [])


@pytest.mark.parametrize(("copies", "zeros", "slot", "rows"), [(3, 1, "copy", 45), (1, 3, "zeros", 45)])
def test_import__empty_slot_is_that_of_most_clips_and_others_are_stored(
    tmp_path: Path, copies: int, zeros: int, slot: str, rows: int
) -> None:
    arrays = mixed(copies, zeros)
    metadata = import_npz(write_npz(tmp_path / "f.npz", arrays)).metadata
    assert (metadata.policy.empty_slot, metadata.counts.rows) == (slot, rows)
    assert_same_bits(round_trip(tmp_path / "g.npz", arrays), arrays)


@pytest.mark.parametrize(
    "task", ["write_scratch_file", "create_arrays", "write_shard", "write_import_manifests", "write_metadata"]
)
def test_import__the_same_command_again_after_an_interruption(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    expected = run(path, tmp_path / "whole.zarr")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(importing, task, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(path, tmp_path / "s.zarr")
    assert not is_complete(tmp_path / "s.zarr")
    assert run(path, tmp_path / "s.zarr") == expected
    assert not (tmp_path / "s.zarr.staging").exists()


@pytest.mark.parametrize("entry", ["s.zarr.staging", "s.zarr.staging/clips.f4", "s.zarr"])
def test_import__killed_and_repeated_gives_the_same_store(path: Path, tmp_path: Path, entry: str) -> None:
    """The kill comes once an entry of the staging folder or the store itself is there."""
    expected = run(path, tmp_path / "whole.zarr")
    out = tmp_path / "s.zarr"
    command = [sys.executable, "-m", "mampctl", "import", "npz", path, "--protocol", "xsub", "--out", out]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: (tmp_path / entry).exists() or process.poll() is not None, entry)
        process.send_signal(signal.SIGKILL)
    if is_complete(out):
        assert open_store(out).metadata.content_hash == expected
    subprocess.run(command, check=True, capture_output=True)
    assert open_store(out).metadata.content_hash == expected
    assert sorted(item.name for item in tmp_path.glob("s.*")) == ["s.xsub.json", "s.zarr"]


def test_import__a_second_time_only_restores_the_manifest(path: Path, tmp_path: Path) -> None:
    store = import_npz(path)
    manifest = read_manifest(store, "xsub")
    (tmp_path / "f.xsub.json").unlink()
    before = {entry: entry.stat().st_mtime_ns for entry in store.path.rglob("*")}
    assert read_manifest(import_npz(path), "xsub") == manifest
    assert {entry: entry.stat().st_mtime_ns for entry in store.path.rglob("*")} == before


def test_import__refuses_a_store_of_another_file(path: Path, tmp_path: Path) -> None:
    run(path, tmp_path / "s.zarr")
    other = write_npz(tmp_path / "g.npz", npz_arrays([pad(8)], []))
    with pytest.raises(StoreExistsError, match="other input"):
        run(other, tmp_path / "s.zarr")


def test_import__never_touches_a_folder_it_did_not_begin(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(StoreExistsError):
        run(path, precious.parent)
    assert precious.read_text() == "years of work"


def test_import__a_full_disk_is_an_error(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "clips.f4")

    monkeypatch.setattr(importing, "write_scratch_file", full)
    with pytest.raises(OutputError, match="No space left"):
        run(path, tmp_path / "s.zarr")
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.npz"]


def test_import__metadata_tells_nothing_of_the_machine(path: Path) -> None:
    metadata = import_npz(path).metadata
    assert str(path.parent) not in json.dumps(metadata.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("start", "readers", "what", "remedy"),
    [
        (b"\x89HDF\r\n\x1a\n", ("npz", "pyskl"), "is an HDF5 file", "mampctl import h5"),
        (b"PK\x03\x04....", ("h5", "pyskl"), "is a zip archive", "mampctl import npz"),
        (
            b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0nets 1/data.pkl",
            ("h5", "npz", "pyskl"),
            "is a PyTorch checkpoint",
            "--from of mampctl train",
        ),
        (
            b"PK\x03\x04" + bytes(22) + b"\x1d\0\0\0S001C001P001R001A001.skeleton",
            ("h5", "npz", "pyskl"),
            "is an archive of other files than arrays, the first is 'S001C001P001R001A001.skeleton'",
            "mampctl ingest DATASET --raw",
        ),
        (b"\x80\x04}.", ("h5", "npz"), "is a pickle", "mampctl import pyskl"),
        (b"\x93NUMPY\x01\0", ("h5", "npz", "pyskl"), "is a single array", "into one file"),
        (b"\x1f\x8b\x08\0", ("h5", "npz", "pyskl"), "is compressed with gzip", "gunzip"),
    ],
)
def test_read__the_wrong_importer_names_the_right_one(
    tmp_path: Path, start: bytes, readers: tuple[str, ...], what: str, remedy: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(start)
    read = {
        "h5": lambda: read_h5(path, None, "xsub"),
        "npz": lambda: read_npz(path, None, "xsub"),
        "pyskl": lambda: read_pyskl(path, None),
    }
    for name in readers:
        with pytest.raises(RawInputError, match=what) as caught:
            read[name]()
        assert remedy in caught.value.remedy
