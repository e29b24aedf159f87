"""A second archive extends a finished store: nothing of it is rewritten, and readers see the old one until the end."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from mamp_pipeline.ingest import plan
from mamp_pipeline.ingest import run as ingest_module
from mamp_pipeline.ingest.engines import dask_engine as cluster
from mamp_pipeline.ingest.engines.base import Workers
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.store import shards, writer
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import ClusterError, OutputError, StoreError, StoreExistsError
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.store import ROW_ARRAYS, MotionSpec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 1_000_000)
    for module in (shards, writer):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
        monkeypatch.setattr(module, "CLIP_CHUNK", 8, raising=False)
    for module in (shards, writer, ingest_module):
        monkeypatch.setattr(module, "SHARD_ROWS", 256)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Divide the golden clips into two archives whose ids interleave."""
    folder = tmp_path_factory.mktemp("archives")
    with zipfile.ZipFile(GOLDEN / "ntu60" / "raw.zip") as source:
        names = sorted(name for name in source.namelist() if name.endswith(".skeleton"))
        for number in (0, 1):
            with zipfile.ZipFile(folder / f"{number}.zip", "w") as target:
                for name in names[number::2]:
                    target.writestr(name, source.read(name))
    return folder / "0.zip", folder / "1.zip"


def request(out: Path, *raw: Path, append: bool = False) -> IngestRequest:
    return IngestRequest("ntu60", raw, out, dataset_spec("ntu60").paper_policy, append=append)


def objects(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (store / "joints" / "c").rglob("*") if path.is_file()}


def test_ingest__append_equals_one_ingest_of_both(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    first = ingest(request(out, archives[0]), NullProgress())
    ids, before = open_store(out).ids, objects(out)
    metadata = ingest(request(out, archives[1], append=True), NullProgress())
    both = ingest(request(tmp_path / "both.zarr", *archives), NullProgress())
    assert (metadata.content_hash, metadata.source, metadata.counts) == (both.content_hash, both.source, both.counts)
    assert sorted(entry.reason for entry in metadata.quarantined) == sorted(entry.reason for entry in both.quarantined)
    store = open_store(out)
    assert verify_store(store, NullProgress()).problems == ()
    assert store.ids[: len(ids)] == ids
    assert store.ids[len(ids) :] == sorted(store.ids[len(ids) :])
    last = first.counts.rows // 256
    assert {path for path, time in objects(out).items() if before.get(path, time) != time} == {
        out / "joints" / "c" / str(last) / "0" / "0"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.zarr", "s.zarr"]


def test_ingest__append_adds_to_what_was_left_out(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    for number, names in enumerate((("a.skeleton", "notes.txt"), ("a.skeleton", "b.skeleton.txt"))):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_bytes(b"")
        metadata = ingest(request(out, archives[number], folder, append=number == 1), NullProgress())
    left_out = sorted(file for group in metadata.left_out for file in group.files)
    assert left_out == ["raw/a.skeleton", "raw/b.skeleton.txt"]
    assert (metadata.counts.left_out, metadata.counts.other) == (2, 2)


def test_ingest__appended_clips_have_the_rows_of_one_ingest(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out, other = tmp_path / "s.zarr", tmp_path / "both.zarr"
    ingest(request(out, archives[0]), NullProgress())
    ingest(request(out, archives[1], append=True), NullProgress())
    ingest(request(other, *archives), NullProgress())
    one, both = open_store(out), open_store(other)
    for place, name in enumerate(one.ids):
        clip = both.ids.index(name)
        count = int(one.columns["frames"][place]) * int(one.columns["bodies"][place])
        rows = [int(store.columns["first_row"][at]) for store, at in ((one, place), (both, clip))]
        for array in ROW_ARRAYS:
            np.testing.assert_array_equal(
                one.read_rows(array, rows[0], rows[0] + count), both.read_rows(array, rows[1], rows[1] + count)
            )


@pytest.mark.parametrize("task", ["extend_arrays", "pack_shard", "write_metadata", "remove_staging"])
def test_ingest__append_that_is_interrupted(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Until the one write at the end readers have the old store; then the same command goes on."""
    out = tmp_path / "s.zarr"
    first = ingest(request(out, archives[0]), NullProgress())
    original, calls = getattr(ingest_module, task), []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) > (task == "pack_shard") * 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, task, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out, archives[1], append=True), NullProgress())
    if task != "remove_staging":
        store = open_store(out)
        assert store.metadata == first
        assert verify_store(store, NullProgress()).problems == ()
    metadata = ingest(request(out, archives[1], append=True), NullProgress())
    assert metadata.content_hash == ingest(request(tmp_path / "both.zarr", *archives), NullProgress()).content_hash
    assert verify_store(open_store(out), NullProgress()).problems == ()
    assert not out.with_name("s.zarr.staging").exists()


def test_ingest__another_archive_after_an_append_that_was_given_up(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, few = tmp_path / "s.zarr", tmp_path / "few.zip"
    with zipfile.ZipFile(archives[1]) as source, zipfile.ZipFile(few, "w") as target:
        for name in source.namelist()[:3]:
            target.writestr(name, source.read(name))
    ingest(request(out, archives[0]), NullProgress())
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "write_metadata", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out, archives[1], append=True), NullProgress())
    ingest(request(out, few, append=True), NullProgress())
    store = open_store(out)
    assert verify_store(store, NullProgress()).problems == ()
    assert zarr.open_array(out / "joints", mode="r").shape[0] == store.metadata.counts.rows


def test_ingest__append_a_second_time_does_nothing(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    metadata = ingest(request(out, archives[1], append=True), NullProgress())
    assert ingest(request(out, archives[1], append=True), NullProgress()) == metadata
    assert ingest(request(out, *archives), NullProgress()) == metadata


def test_ingest__append_refuses_clips_that_are_there(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    before = ingest(request(out, archives[0]), NullProgress())
    with pytest.raises(StoreExistsError, match=r"of the \d+ raw files are in") as caught:
        ingest(request(out, *archives, append=True), NullProgress())
    assert "--exclude" in caught.value.remedy
    assert open_store(out).metadata == before


def test_ingest__append_refuses_another_policy_dataset_or_motion(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    asked = request(out, archives[1], append=True)
    for other in (
        replace(asked, policy=dataset_spec("ntu120").paper_policy),
        replace(asked, dataset="ntu120"),
        replace(asked, motion=MotionSpec(stride=2, segment=4)),
    ):
        with pytest.raises(StoreExistsError, match="asked for is"):
            ingest(other, NullProgress())


def test_ingest__append_needs_a_finished_store(archives: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        ingest(request(tmp_path / "s.zarr", archives[0], append=True), NullProgress())


def test_ingest__without_append_a_finished_store_is_left_alone(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    with pytest.raises(StoreExistsError) as caught:
        ingest(request(out, archives[1]), NullProgress())
    assert "--append" in caught.value.remedy


def test_extend_arrays__refuses_longer_ids(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    store = open_store(out)
    columns = {**store.columns, "id": shards.pack_ids([f"{name}-longer" for name in store.ids])}
    with pytest.raises(StoreError, match="width"):
        writer.extend_arrays(store, store.metadata.counts.rows, columns)


def test_append__what_plain_zarr_sees(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    metadata = ingest(request(out, archives[1], append=True), NullProgress())
    for consolidated in (True, False):
        group = zarr.open_group(out, mode="r", use_consolidated=consolidated)
        assert group["joints"].shape[0] == metadata.counts.rows
        assert group["clips/id"].shape[0] == metadata.counts.clips


def rewritten(source: Path, target: Path, old: bytes, new: bytes) -> Path:
    """Copy an archive, its first member changed."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for number, name in enumerate(archive.namelist()):
            data = archive.read(name)
            assert number or old in data
            copy.writestr(name, data if number else data.replace(old, new, 1))
    return target


def test_ingest__append_of_known_ids_with_other_content_is_refused(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    edited = rewritten(archives[0], tmp_path / "edited.zip", b" 0.", b" 1.")
    with pytest.raises(StoreExistsError, match=r"holds all of these \d+ clips.* has changed"):
        ingest(request(out, edited, append=True), NullProgress())
    with pytest.raises(StoreExistsError, match="a finished store of other input is there"):
        ingest(request(out, edited), NullProgress())


def test_ingest__append_of_some_held_files_does_not_call_them_changed(
    archives: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, *archives), NullProgress())
    with pytest.raises(StoreExistsError, match="they are some of an ingest's") as caught:
        ingest(request(out, archives[1], append=True), NullProgress())
    assert "If nothing changed, nothing is to do" in caught.value.remedy


def test_ingest__append_again_is_known_though_some_files_gave_no_clip(
    archives: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    with zipfile.ZipFile(archives[1]) as source, zipfile.ZipFile(tmp_path / "1.zip", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("S001C001P001R001A059.skeleton", "1\n")
    metadata = ingest(request(out, tmp_path / "1.zip", append=True), NullProgress())
    assert metadata.counts.quarantined == 1
    assert ingest(request(out, tmp_path / "1.zip", append=True), NullProgress()) == metadata
    assert ingest(request(out, archives[0]), NullProgress()) == metadata


@pytest.mark.parametrize("name_of_mended", ["raw.zip", "other.zip"])
def test_ingest__a_mended_file_may_be_appended_and_leaves_the_quarantine(tmp_path: Path, name_of_mended: str) -> None:
    with zipfile.ZipFile(GOLDEN / "ntu60" / "raw.zip") as source:
        good, other = sorted(name for name in source.namelist() if name.endswith(".skeleton"))[:2]
        texts = {name: source.read(name) for name in (good, other)}
    broken, mended = tmp_path / "broken" / "raw.zip", tmp_path / "mended" / name_of_mended
    for path, members in ((broken, {good: texts[good][:5_000], other: texts[other]}), (mended, {good: texts[good]})):
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as target:
            for name, text in members.items():
                target.writestr(name, text)
    out = tmp_path / "s.zarr"
    first = ingest(request(out, broken), NullProgress())
    assert (first.counts.clips, first.counts.quarantined) == (1, 1)
    second = ingest(request(out, mended, append=True), NullProgress())
    assert (second.counts.clips, second.quarantined) == (2, ())
    assert verify_store(open_store(out), NullProgress()).problems == ()


def nothing_left(folder: Path) -> Path:
    """Write an archive whose only file gives no clip."""
    with zipfile.ZipFile(folder / "bad.zip", "w") as target:
        target.writestr("S001C001P001R001A001.skeleton", "1\n")
    return folder / "bad.zip"


def test_ingest__a_store_without_a_clip_is_replaced(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    assert ingest(request(out, nothing_left(tmp_path)), NullProgress()).counts.clips == 0
    with pytest.raises(StoreExistsError, match="the store holds no clip, so it cannot be extended"):
        ingest(request(out, archives[0], append=True), NullProgress())
    metadata = ingest(request(out, archives[0]), NullProgress())
    assert metadata.content_hash == ingest(request(tmp_path / "new.zarr", archives[0]), NullProgress()).content_hash
    assert metadata.ingests == (metadata.source,)


def test_ingest__tells_of_what_another_interrupted_ingest_left(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "s.zarr"
    metadata = ingest(request(out, archives[0]), NullProgress())
    with monkeypatch.context() as broken:
        broken.setattr(ingest_module, "pack_shards", lambda *_: pytest.fail("stopped here"))
        with pytest.raises(pytest.fail.Exception):
            ingest(request(out, archives[1], append=True), NullProgress())
    assert ingest(request(out, archives[0]), NullProgress()) == metadata
    assert any("s.zarr.staging is what another ingest into this store left" in line for line in caplog.messages)
    ingest(request(out, archives[1], append=True), NullProgress())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.zarr"]


def test_ingest__an_output_behind_a_link(archives: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link.zarr").symlink_to(tmp_path / "real.zarr")
    metadata = ingest(request(tmp_path / "link.zarr", archives[0]), NullProgress())
    assert open_store(tmp_path / "real.zarr").metadata == metadata


def test_ingest__a_file_where_a_folder_is_needed(archives: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(OutputError, match="plain"):
        ingest(request(tmp_path / "plain" / "s.zarr", archives[0]), NullProgress())


def test_ingest__no_cluster_no_staging(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SCHEDULER_TIMEOUT", 0.5)
    with pytest.raises(ClusterError):
        ingest(request(tmp_path / "s.zarr", archives[0]), NullProgress(), Workers(scheduler="tcp://127.0.0.1:1"))
    assert list(tmp_path.iterdir()) == []
