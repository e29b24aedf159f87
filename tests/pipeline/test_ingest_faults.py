"""Input and output that fail: forbidden, read-only, damaged, gone. A clear error or quarantine, and no half store."""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.store_reader import is_complete
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.factories import random_ntu_text
from tests.logs import on_log
from tests.paths import GOLDEN
from tests.users import as_owner, give_to_owner, needs_refusal

RAW = GOLDEN / "ntu60" / "raw.zip"
SPECIAL = {
    "FIFO": "is a FIFO, not a file",
    "device": "is a device, not a file",
    "/proc": "0 bytes were listed, more were read",
    "sparse": "42,949,672,960 bytes: more than 268,435,456",
}
"""Raw files that are none, or have no end, and why they are quarantined."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run_refused(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the ingest as a user who may not pass over permissions."""
    command = [*as_owner(), sys.executable, "-m", "mampctl", "ingest", "ntu60", "--workers", "0", *arguments]
    environment = {**os.environ, "HOME": str(folder), "NUMBA_CACHE_DIR": str(folder / "numba")}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


def unpack(folder: Path) -> list[Path]:
    with zipfile.ZipFile(RAW) as archive:
        archive.extractall(folder)
    return sorted(folder.rglob("*.skeleton"))


def request(raw: Path, out: Path) -> IngestRequest:
    return IngestRequest("ntu60", (raw,), out, dataset_spec("ntu60").paper_policy)


@needs_refusal
@pytest.mark.parametrize("closed", ["raw", "."], ids=["the folder", "the folder above"])
def test_ingest__raw_folder_without_permission(open_folder: Path, closed: str) -> None:
    raw, home = open_folder / "home" / "raw", open_folder / "home"
    unpack(raw)
    give_to_owner(open_folder)
    (home / closed).chmod(0)
    outcome = run_refused(open_folder, "--raw", raw, "--out", open_folder / "s.zarr")
    (home / closed).chmod(0o700)
    assert outcome.returncode == 1, outcome.stderr
    assert f'"text": "{raw}: cannot be' in outcome.stderr or f'"text": "{raw}: cannot list' in outcome.stderr
    assert "Permission denied" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@needs_refusal
def test_ingest__raw_file_without_permission_is_quarantined(open_folder: Path) -> None:
    files = unpack(open_folder / "raw")
    files[0].chmod(0)
    give_to_owner(open_folder)
    outcome = run_refused(open_folder, "--raw", open_folder / "raw", "--out", open_folder / "s.zarr", "--strict")
    assert outcome.returncode == 3, outcome.stderr
    assert "cannot be read (Permission denied)" in outcome.stdout


@needs_refusal
def test_ingest__read_only_folder(open_folder: Path) -> None:
    raw, out = open_folder / "raw", open_folder / "out"
    unpack(raw)
    out.mkdir()
    give_to_owner(open_folder)
    out.chmod(0o500)
    outcome = run_refused(open_folder, "--raw", raw, "--out", out / "s.zarr")
    assert outcome.returncode == 1, outcome.stderr
    assert "cannot be written: Permission denied" in outcome.stderr
    assert "Choose an output you may write to" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert list(out.iterdir()) == []


def test_ingest__archive_with_a_bad_crc(tmp_path: Path) -> None:
    raw = tmp_path / "raw.zip"
    with zipfile.ZipFile(RAW) as source, zipfile.ZipFile(raw, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    data, place = bytearray(raw.read_bytes()), raw.stat().st_size // 2
    data[place : place + 1] = b"7" if data[place : place + 1] != b"7" else b"8"
    raw.write_bytes(data)
    metadata = ingest(request(raw, tmp_path / "s.zarr"), NullProgress())
    reasons = [entry.reason for entry in metadata.quarantined if "CRC" in entry.reason]
    assert len(reasons) == 1


def test_ingest__special_and_huge_files_are_quarantined(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    unpack(raw)
    before = ingest(request(raw, tmp_path / "before.zarr"), NullProgress())
    names = {name: raw / f"S001C001P001R001A0{number}.skeleton" for number, name in enumerate(SPECIAL, 50)}
    os.mkfifo(names["FIFO"])
    names["device"].symlink_to("/dev/zero")
    names["/proc"].symlink_to("/proc/self/maps")
    with names["sparse"].open("wb") as file:
        file.truncate(40 * 2**30)
    metadata = ingest(request(raw, tmp_path / "s.zarr"), NullProgress())
    assert metadata.content_hash == before.content_hash
    reasons = {Path(entry.file).name: entry.reason for entry in metadata.quarantined}
    for name, reason in SPECIAL.items():
        assert re.search(reason, reasons[names[name].name]), (name, reasons)
    assert metadata.counts.quarantined == before.counts.quarantined + len(SPECIAL)


@pytest.mark.parametrize("field", ["packed", "unpacked"])
def test_ingest__an_archive_that_gives_a_member_a_huge_size(tmp_path: Path, field: str) -> None:
    raw = tmp_path / "raw.zip"
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("S001C001P001R001A001.skeleton", b"0\n")
        archive.writestr("S001C001P001R001A002.skeleton", random_ntu_text(0, frames=3))
    data = bytearray(raw.read_bytes())
    offset = data.index(b"PK\x01\x02") + (20 if field == "packed" else 24)
    data[offset : offset + 4] = struct.pack("<I", 3 * 2**30)
    raw.write_bytes(data)
    metadata = ingest(request(raw, tmp_path / "s.zarr"), NullProgress())
    (entry,) = metadata.quarantined
    assert "more than 268,435,456, the most that a raw file may have" in entry.reason
    assert metadata.counts.clips == 1


def test_ingest__a_sparse_archive_that_claims_a_huge_directory(tmp_path: Path) -> None:
    raw, size = tmp_path / "raw.zip", 8 * 2**30
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("S001C001P001R001A001.skeleton", b"0\n")
    with raw.open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size - 1_000, 1_000))
        file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, size, 1))
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    with pytest.raises(RawInputError, match="it claims a directory of 8,589,933,592 bytes"):
        ingest(request(raw, tmp_path / "s.zarr"), NullProgress())


def removing(path: Path) -> AbstractContextManager[None]:
    """Remove something once the raw files are listed."""

    def act(text: str) -> None:
        if text.startswith("found"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return on_log(act)


def test_ingest__a_file_that_disappears_is_quarantined(tmp_path: Path) -> None:
    files = unpack(tmp_path / "raw")
    before = ingest(request(tmp_path / "raw", tmp_path / "before.zarr"), NullProgress())
    with removing(files[3]):
        metadata = ingest(request(tmp_path / "raw", tmp_path / "s.zarr"), NullProgress())
    assert metadata.counts.quarantined == before.counts.quarantined + 1
    assert any("No such file" in entry.reason for entry in metadata.quarantined)


def test_ingest__a_folder_that_disappears_is_no_quarantine(tmp_path: Path) -> None:
    """Else one lost mount would leave a finished store that lacks everything."""
    unpack(tmp_path / "raw")
    with removing(tmp_path / "raw"), pytest.raises(RawInputError, match="not there any more"):
        ingest(request(tmp_path / "raw", tmp_path / "s.zarr"), NullProgress())
    assert not is_complete(tmp_path / "s.zarr")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_ingest__full_disk_under_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mamp_pipeline.ingest.engines.base import Workers
    from mamp_schemas.errors import OutputError

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    monkeypatch.setattr(plan, "PART_BYTES", 2_000_000)
    try:
        with pytest.raises(OutputError, match="No space left") as caught:
            ingest(request(RAW, disk / "s.zarr"), NullProgress(), Workers(2))
        assert "The disk is full" in caught.value.remedy
        assert not is_complete(disk / "s.zarr")
    finally:
        subprocess.run(["umount", disk], check=True)
