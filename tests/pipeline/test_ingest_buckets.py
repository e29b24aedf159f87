"""Raw files and stores in buckets, on a real S3 server: the same store as on disk, by few requests."""

import gzip
import sys
import zipfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest import run as ingest_module
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.store import shards, writer
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import (
    DamagedStoreError,
    IncompleteStoreError,
    MissingExtraError,
    ObjectStoreError,
    RawInputError,
    StoreError,
    StoreExistsError,
)
from mamp_schemas.io import storage
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.store import StoreMetadata
from mamp_schemas.progress import NullProgress
from tests.logs import on_log
from tests.paths import GOLDEN
from tests.s3_server import Bucket

RAW = GOLDEN / "ntu60" / "raw.zip"


def request(out: StoragePath, *raw: StoragePath, append: bool = False) -> IngestRequest:
    return IngestRequest("ntu60", raw, out, dataset_spec("ntu60").paper_policy, append=append)


def put_folder(bucket: Bucket, prefix: str) -> ObjectUrl:
    with zipfile.ZipFile(RAW) as archive:
        for name in archive.namelist():
            if not name.endswith("/"):
                bucket.put(f"{prefix}/{name}", archive.read(name))
    return bucket.url / prefix


def staged(bucket: Bucket) -> list[str]:
    return [key for key in bucket.names() if ".staging" in key]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> StoreMetadata:
    return ingest(request(tmp_path_factory.mktemp("local") / "s.zarr", RAW), NullProgress())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 3_000_000)
    for module in (shards, writer):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    for module in (shards, writer, ingest_module):
        monkeypatch.setattr(module, "SHARD_ROWS", 1024)


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_ingest__from_a_bucket_into_a_bucket(bucket: Bucket, local: StoreMetadata, form: str) -> None:
    raw = bucket.put("raw/ntu.zip", RAW) if form == "archive" else put_folder(bucket, "raw")
    metadata = ingest(request(bucket.url / "out" / "s.zarr", raw), NullProgress())
    assert metadata.content_hash == local.content_hash
    assert metadata.counts == local.counts
    assert verify_store(open_store(bucket.url / "out" / "s.zarr"), NullProgress()).problems == ()
    assert staged(bucket) == []


def test_ingest__from_a_bucket_onto_disk(bucket: Bucket, local: StoreMetadata, tmp_path: Path) -> None:
    raw = bucket.put("ntu.zip", RAW)
    metadata = ingest(request(tmp_path / "s.zarr", raw), NullProgress())
    assert (metadata.content_hash, metadata.source) == (local.content_hash, local.source)
    assert bucket.names() == ["ntu.zip"]


def test_ingest__the_whole_bucket_as_a_folder(bucket: Bucket, local: StoreMetadata, tmp_path: Path) -> None:
    put_folder(bucket, "anywhere")
    assert ingest(request(tmp_path / "s.zarr", bucket.url), NullProgress()).content_hash == local.content_hash


@pytest.mark.usefixtures("small")
def test_ingest__from_disk_into_a_bucket_in_parts_and_shards(bucket: Bucket, local: StoreMetadata) -> None:
    out = bucket.url / "s.zarr"
    assert ingest(request(out, RAW), NullProgress()).content_hash == local.content_hash
    assert len([key for key in bucket.names() if key.startswith("s.zarr/joints/c/")]) > 3
    assert verify_store(open_store(out), NullProgress()).problems == ()


@pytest.mark.usefixtures("small")
def test_ingest__compressed_in_a_bucket(bucket: Bucket, local: StoreMetadata) -> None:
    out = bucket.url / "s.zarr"
    assert ingest(replace(request(out, RAW), compression="zstd"), NullProgress()).content_hash == local.content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()


def test_ingest__once_more_does_nothing(bucket: Bucket) -> None:
    out, raw = bucket.url / "s.zarr", bucket.put("ntu.zip", RAW)
    first = ingest(request(out, raw), NullProgress())
    before = len(bucket.server.requests())
    assert ingest(request(out, raw), NullProgress()) == first
    assert not [line for line in bucket.server.requests()[before:] if line.startswith(("PUT", "POST"))]


def test_ingest__refuses_what_it_did_not_begin(bucket: Bucket) -> None:
    bucket.put("s.zarr/notes.txt", b"mine")
    with pytest.raises(StoreExistsError, match="something is there"):
        ingest(request(bucket.url / "s.zarr", RAW), NullProgress())
    assert bucket.names() == ["s.zarr/notes.txt"]


@pytest.mark.usefixtures("small")
def test_ingest__append_in_a_bucket(bucket: Bucket, local: StoreMetadata, tmp_path: Path) -> None:
    with zipfile.ZipFile(RAW) as source:
        names = sorted(name for name in source.namelist() if name.endswith(".skeleton"))
        for number in (0, 1):
            with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as target:
                for name in names[number::2]:
                    target.writestr(name, source.read(name))
    out = bucket.url / "s.zarr"
    ingest(request(out, bucket.put("0.zip", tmp_path / "0.zip")), NullProgress())
    before = bucket.get("s.zarr/joints/c/0/0/0")
    metadata = ingest(request(out, bucket.put("1.zip", tmp_path / "1.zip"), append=True), NullProgress())
    assert metadata.content_hash == local.content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert bucket.get("s.zarr/joints/c/0/0/0") == before
    assert staged(bucket) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("task", ["parse_parts", "pack_shards", "remove_staging"])
def test_ingest__goes_on_where_it_stopped(
    bucket: Bucket, local: StoreMetadata, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """After a phase and before the next one."""
    out, raw = bucket.url / "s.zarr", bucket.put("ntu.zip", RAW)
    original = getattr(ingest_module, task)

    def interrupted(*arguments: object) -> None:
        if task in ("parse_parts", "pack_shards"):
            original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, task, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out, raw), NullProgress())
    assert is_complete(out) == (task == "remove_staging")
    before = len(bucket.server.requests())
    assert ingest(request(out, raw), NullProgress()).content_hash == local.content_hash
    lines = bucket.server.requests()[before:]
    assert not [line for line in lines if line.startswith("PUT") and "/part-" in line]
    assert bool([line for line in lines if line.startswith("PUT") and "/joints/c/" in line]) == (task == "parse_parts")
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert staged(bucket) == []


def test_ingest__damaged_and_missing_members_are_quarantined(bucket: Bucket, tmp_path: Path) -> None:
    with zipfile.ZipFile(RAW) as source, zipfile.ZipFile(tmp_path / "bad.zip", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    data = bytearray((tmp_path / "bad.zip").read_bytes())
    place = len(data) // 2
    data[place : place + 1] = b"7" if data[place : place + 1] != b"7" else b"8"
    raw = bucket.put("bad.zip", bytes(data))
    metadata = ingest(request(tmp_path / "s.zarr", raw), NullProgress())
    assert len([entry for entry in metadata.quarantined if "CRC" in entry.reason]) == 1


def test_ingest__an_object_that_disappears_is_quarantined(bucket: Bucket, tmp_path: Path) -> None:
    raw = put_folder(bucket, "raw")
    lost = find_sources([raw], find_reader("ntu60")).sources[3]

    with on_log(lambda text: text.startswith("found") and storage.remove_file(raw / lost.member)):
        metadata = ingest(request(tmp_path / "s.zarr", raw), NullProgress())
    reasons = {entry.file: entry.reason for entry in metadata.quarantined}
    assert reasons[lost.portable_path] == "cannot be read (No such object)"


def test_ingest__an_archive_that_disappears_is_no_quarantine(bucket: Bucket, tmp_path: Path) -> None:
    raw = bucket.put("ntu.zip", RAW)

    with (
        on_log(lambda text: text.startswith("found") and storage.remove_file(raw)),
        pytest.raises(RawInputError, match="not there any more"),
    ):
        ingest(request(tmp_path / "s.zarr", raw), NullProgress())


def test_list_path__an_edited_object_is_told_from_the_old_one(bucket: Bucket) -> None:
    name = "S001C001P001R001A001.skeleton"
    states = []
    for text in (b"a", b"b", b"a"):
        bucket.put(f"raw/{name}", text)
        states.append(find_sources([bucket.url / "raw"], find_reader("ntu60")).sources[0].change_token)
    assert states[0] == states[2] != states[1]


def test_list_path__a_bucket_is_listed_without_a_look_at_each_object(bucket: Bucket) -> None:
    raw = put_folder(bucket, "raw")
    before = len(bucket.server.requests())
    assert len(find_sources([raw], find_reader("ntu60")).sources) > 20
    kinds = Counter(line.split()[0] for line in bucket.server.requests()[before:])
    assert kinds == {"HEAD": 1, "GET": 1}


def test_find_sources__what_a_bucket_holds_is_read_or_left_out(bucket: Bucket) -> None:
    name, content = "s001c001p001r001a001.skeleton.gz", gzip.compress(b"content")
    named = bucket.put("S001C001P001R001A003.skeleton.txt", b"content")
    for member in (name, "S001C001P001R001A002 (1).skeleton", "rest.zip", "README.txt"):
        bucket.put(f"raw/{member}", content)
    found = find_sources([bucket.url / "raw", named], find_reader("ntu60"))
    (source,) = found.sources
    assert (source.id, read_source(source)) == ("S001C001P001R001A001", b"content")
    assert sorted(file for group in found.left_out for file in group.files) == [
        "raw/S001C001P001R001A002 (1).skeleton",
        "raw/rest.zip",
    ]
    assert [entry.file.rpartition("/")[2] for entry in found.rejected] == ["S001C001P001R001A003.skeleton.txt"]
    assert found.other == 1


def test_ingest__an_archives_members_come_in_few_requests(bucket: Bucket, tmp_path: Path) -> None:
    raw = bucket.put("ntu.zip", RAW)
    before = len(bucket.server.requests())
    metadata = ingest(request(tmp_path / "s.zarr", raw), NullProgress())
    fetched = [line for line in bucket.server.requests()[before:] if line.startswith("GET") and "ntu.zip HTTP" in line]
    assert len(fetched) < 6 < metadata.counts.clips


@pytest.mark.parametrize("place", ["raw", "out"])
def test_ingest__no_such_bucket(bucket: Bucket, place: str, tmp_path: Path) -> None:
    nowhere = ObjectUrl("no-such-bucket", "x.zarr")
    asked = request(tmp_path / "s.zarr", nowhere) if place == "raw" else request(nowhere, RAW)
    with pytest.raises(ObjectStoreError, match=r"s3://no-such-bucket: there is no such bucket"):
        ingest(asked, NullProgress())


def test_ingest__nothing_of_that_name_in_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match=r"/nothing: no such folder or archive"):
        ingest(request(tmp_path / "s.zarr", bucket.url / "nothing"), NullProgress())


def test_ingest__wrong_credentials(bucket: Bucket, tmp_path: Path) -> None:
    raw = bucket.put("ntu.zip", RAW)
    with bucket.server.closed():
        for asked in (request(tmp_path / "s.zarr", raw), request(bucket.url / "s.zarr", RAW)):
            with pytest.raises(ObjectStoreError, match="access denied") as caught:
                ingest(asked, NullProgress())
            assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    assert bucket.names() == ["ntu.zip"]


def test_ingest__credentials_that_end_while_it_runs_are_no_quarantine(bucket: Bucket, tmp_path: Path) -> None:
    raw = put_folder(bucket, "raw")
    with (
        ExitStack() as stack,
        on_log(lambda text: text.startswith("found") and stack.enter_context(bucket.server.closed())),
        pytest.raises(ObjectStoreError, match="access denied"),
    ):
        ingest(request(tmp_path / "s.zarr", raw), NullProgress())
    assert not is_complete(tmp_path / "s.zarr")


def test_ingest__an_endpoint_that_nobody_answers_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setitem(storage.RETRY_CONFIG, "max_retries", 2)
    with pytest.raises(ObjectStoreError, match="cannot be reached") as caught:
        ingest(request(tmp_path / "s.zarr", ObjectUrl("unreachable", "raw.zip")), NullProgress())
    assert "AWS_ENDPOINT_URL" in caught.value.remedy


def test_connect__without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(MissingExtraError, match="obstore") as caught:
        is_complete(ObjectUrl("a-bucket", "s.zarr"))
    assert "mampctl[s3]" in caught.value.remedy


def test_open_store__nothing_there(bucket: Bucket) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        open_store(bucket.url / "s.zarr")


def test_open_store__no_completion_mark(bucket: Bucket) -> None:
    bucket.put("s.zarr/zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(IncompleteStoreError):
        open_store(bucket.url / "s.zarr")


def test_open_store__a_shard_that_is_gone(bucket: Bucket) -> None:
    out = bucket.url / "s.zarr"
    ingest(request(out, RAW), NullProgress())
    storage.remove_file(out / "joints/c/0/0/0")
    with pytest.raises(DamagedStoreError, match="is gone"):
        open_store(out).read_rows("joints", 0, 5)


def test_open_store__a_column_that_is_gone_or_another(bucket: Bucket) -> None:
    out = bucket.url / "s.zarr"
    ingest(request(out, RAW), NullProgress())
    label = storage.read_bytes(out / "clips/label/c/0")
    for change in (
        lambda: storage.remove_file(out / "clips/label/c/0"),
        lambda: bucket.put("s.zarr/clips/label/c/0", b""),
    ):
        change()
        with pytest.raises(DamagedStoreError, match="clips/label/c/0"):
            open_store(out)
    bucket.put("s.zarr/clips/subject/c/0", label)
    bucket.put("s.zarr/clips/label/c/0", label)
    with pytest.raises(DamagedStoreError, match="clips/subject/c/0 is gone or not as it was written there"):
        open_store(out)


def test_rows__a_store_that_cannot_be_read_any_more_is_not_called_damaged(bucket: Bucket) -> None:
    out = bucket.url / "s.zarr"
    ingest(request(out, RAW), NullProgress())
    store = open_store(out)
    with bucket.server.closed(), pytest.raises(ObjectStoreError, match="access denied"):
        store.read_rows("joints", 0, 5)
