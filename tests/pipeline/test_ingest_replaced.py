"""Raw files that are written or replaced while an ingest runs, or before it is resumed: nothing unread is recorded."""

import os
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import is_complete
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.store import StoreMetadata
from mamp_schemas.progress import NullProgress
from tests.factories import random_ntu_text
from tests.logs import on_log
from tests.s3_server import Bucket

NAMES = [f"S001C001P001R001A{number:03d}.skeleton" for number in (1, 2, 3)]
TEXTS = [random_ntu_text(seed, frames=4) for seed in range(3)]
OTHER = TEXTS[1].replace(b".1", b".2")
"""Another recording for the second file, of the same size."""


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, text in zip(NAMES, TEXTS, strict=True):
        (folder / name).write_bytes(text)
    return folder


def make_archive(path: Path, second: bytes = TEXTS[1]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in zip(NAMES, (TEXTS[0], second, TEXTS[2]), strict=True):
            archive.writestr(name, text)
    return path


def run(raw: StoragePath, out: Path) -> StoreMetadata:
    return ingest(IngestRequest("ntu60", (raw,), out, dataset_spec("ntu60").paper_policy), NullProgress())


def once_listed(change: Callable[[], object]) -> AbstractContextManager[None]:
    """Do something between the listing of the raw files and their reading."""
    return on_log(lambda text: change() if text.startswith("found") else None)


def replace_unseen(path: Path, content: bytes) -> None:
    """Replace a file by another of the same size and time of writing, as `cp -p` and `rsync -t` can."""
    before = path.stat()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_files__have_one_size() -> None:
    assert len(OTHER) == len(TEXTS[1])
    assert TEXTS[1] != OTHER


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (OTHER, "its time of change is not the one that was listed"),
        (OTHER + b"\n", f"{len(OTHER):,} bytes were listed, more were read"),
        (OTHER[:100], f"{len(OTHER):,} bytes were listed, 100 were read"),
    ],
    ids=["same size", "longer", "shorter"],
)
def test_ingest__a_file_written_after_it_was_listed_is_quarantined(tmp_path: Path, content: bytes, reason: str) -> None:
    raw = make_folder(tmp_path / "raw")

    def write() -> None:
        (raw / NAMES[1]).write_bytes(content)
        os.utime(raw / NAMES[1], ns=(1, 1))

    with once_listed(write):
        metadata = run(raw, tmp_path / "s.zarr")
    (entry,) = metadata.quarantined
    assert entry.file == f"raw/{NAMES[1]}"
    assert entry.reason == f"was written while it was ingested: {reason}"
    assert metadata.counts.clips == 2


def test_ingest__a_file_replaced_by_one_of_the_same_size_and_time_ends_it(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw")
    with (
        once_listed(lambda: replace_unseen(raw / NAMES[1], OTHER)),
        pytest.raises(RawInputError, match=f"raw/{NAMES[1]}: was written, replaced") as caught,
    ):
        run(raw, tmp_path / "s.zarr")
    assert not is_complete(tmp_path / "s.zarr")
    assert "Run the same command again" in caught.value.remedy
    assert run(raw, tmp_path / "s.zarr").content_hash == run(raw, tmp_path / "fresh.zarr").content_hash


class Stop(NullProgress):
    """Interrupts an ingest once everything is staged."""

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        if task == "pack":
            raise KeyboardInterrupt


@pytest.mark.parametrize("change", [replace_unseen, Path.write_bytes], ids=["same time", "another time"])
def test_ingest__a_file_replaced_before_it_is_resumed_is_read_again(
    tmp_path: Path, change: Callable[[Path, bytes], object]
) -> None:
    raw, out = make_folder(tmp_path / "raw"), tmp_path / "s.zarr"
    with pytest.raises(KeyboardInterrupt):
        ingest(IngestRequest("ntu60", (raw,), out, dataset_spec("ntu60").paper_policy), Stop())
    before = run(raw, tmp_path / "before.zarr")
    change(raw / NAMES[1], OTHER)
    resumed = run(raw, out)
    assert resumed.content_hash == run(raw, tmp_path / "fresh.zarr").content_hash != before.content_hash


def test_ingest__an_archive_replaced_after_it_was_listed_ends_it(tmp_path: Path) -> None:
    raw, out = make_archive(tmp_path / "raw.zip"), tmp_path / "s.zarr"
    with (
        once_listed(lambda: make_archive(tmp_path / "new.zip", OTHER).replace(raw)),
        pytest.raises(RawInputError, match=r"raw\.zip: was written, replaced"),
    ):
        run(raw, out)
    assert not is_complete(out)
    resumed = run(raw, out)
    assert resumed.quarantined == ()
    assert resumed.content_hash == run(raw, tmp_path / "fresh.zarr").content_hash


def test_ingest__objects_written_after_they_were_listed(tmp_path: Path, bucket: Bucket) -> None:
    for file in make_folder(tmp_path / "raw").iterdir():
        bucket.put(f"raw/{file.name}", file)
    (tmp_path / "other").write_bytes(OTHER)
    with once_listed(lambda: bucket.put(f"raw/{NAMES[1]}", tmp_path / "other")):
        metadata = run(bucket.url / "raw", tmp_path / "s.zarr")
    (entry,) = metadata.quarantined
    assert (entry.file, metadata.counts.clips) == (f"raw/{NAMES[1]}", 2)
    assert "its time of change is not the one that was listed" in entry.reason


def test_ingest__an_archive_in_a_bucket_replaced_after_it_was_listed_ends_it(tmp_path: Path, bucket: Bucket) -> None:
    url = bucket.put("raw.zip", make_archive(tmp_path / "raw.zip"))
    other = make_archive(tmp_path / "other.zip", OTHER)
    with (
        once_listed(lambda: bucket.put("raw.zip", other)),
        pytest.raises(RawInputError, match=r"raw\.zip: was written, replaced"),
    ):
        run(url, tmp_path / "s.zarr")
    assert run(url, tmp_path / "s.zarr").content_hash == run(other, tmp_path / "fresh.zarr").content_hash
