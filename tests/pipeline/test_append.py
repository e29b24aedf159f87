"""A second archive extends a finished store: nothing of it is rewritten, and readers see the old one until the end."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from mamp_pipeline.build import ingest as ingest_module
from mamp_pipeline.build import phases, plan
from mamp_pipeline.build.ingest import Ingest, ingest
from mamp_pipeline.store import layout, write
from mamp_pipeline.store.check import verify
from mamp_pipeline.store.read import open_store
from mamp_schemas.errors import StoreError, StoreExistsError
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import paper_policy
from mamp_schemas.progress import Silent
from mamp_schemas.store import ROW_ARRAYS
from tests.paths import GOLDEN

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_BYTES", 1_000_000)
    for module in (layout, write):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
        monkeypatch.setattr(module, "CLIP_CHUNK", 8, raising=False)
    for module in (layout, write, phases, ingest_module):
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


def request(out: Path, *raw: Path, append: bool = False) -> Ingest:
    return Ingest("ntu60", raw, out, paper_policy("ntu60"), append=append)


def objects(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (store / "joints" / "c").rglob("*") if path.is_file()}


def test_ingest__append_equals_one_ingest_of_both(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    first = ingest(request(out, archives[0]), Silent())
    ids, before = open_store(out).ids, objects(out)
    metadata = ingest(request(out, archives[1], append=True), Silent())
    both = ingest(request(tmp_path / "both.zarr", *archives), Silent())
    assert (metadata.content_hash, metadata.source, metadata.counts) == (both.content_hash, both.source, both.counts)
    assert sorted(entry.reason for entry in metadata.quarantined) == sorted(entry.reason for entry in both.quarantined)
    store = open_store(out)
    assert verify(store, Silent()).problems == ()
    assert store.ids[: len(ids)] == ids
    assert store.ids[len(ids) :] == sorted(store.ids[len(ids) :])
    last = first.counts.rows // 256
    assert {path for path, time in objects(out).items() if before.get(path, time) != time} == {
        out / "joints" / "c" / str(last) / "0" / "0"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.zarr", "s.zarr"]


def test_ingest__appended_clips_have_the_rows_of_one_ingest(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out, other = tmp_path / "s.zarr", tmp_path / "both.zarr"
    ingest(request(out, archives[0]), Silent())
    ingest(request(out, archives[1], append=True), Silent())
    ingest(request(other, *archives), Silent())
    one, both = open_store(out), open_store(other)
    for place, name in enumerate(one.ids):
        clip = both.ids.index(name)
        count = int(one.columns["frames"][place]) * int(one.columns["bodies"][place])
        rows = [int(store.columns["first_row"][at]) for store, at in ((one, place), (both, clip))]
        for array in ROW_ARRAYS:
            np.testing.assert_array_equal(
                one.rows(array, rows[0], rows[0] + count), both.rows(array, rows[1], rows[1] + count)
            )


@pytest.mark.parametrize("task", ["extend_arrays", "pack_shard", "write_metadata", "discard"])
def test_ingest__append_that_is_interrupted(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Until the one write at the end readers have the old store; then the same command goes on."""
    out = tmp_path / "s.zarr"
    first = ingest(request(out, archives[0]), Silent())
    home = phases if task == "pack_shard" else ingest_module
    original, calls = getattr(home, task), []

    def interrupted(*arguments: object) -> None:
        calls.append(1)
        if len(calls) > (task == "pack_shard") * 2:
            raise KeyboardInterrupt
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(home, task, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out, archives[1], append=True), Silent())
    if task != "discard":
        store = open_store(out)
        assert store.metadata == first
        assert verify(store, Silent()).problems == ()
    metadata = ingest(request(out, archives[1], append=True), Silent())
    assert metadata.content_hash == ingest(request(tmp_path / "both.zarr", *archives), Silent()).content_hash
    assert verify(open_store(out), Silent()).problems == ()
    assert not out.with_name("s.zarr.staging").exists()


def test_ingest__another_archive_after_an_append_that_was_given_up(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, few = tmp_path / "s.zarr", tmp_path / "few.zip"
    with zipfile.ZipFile(archives[1]) as source, zipfile.ZipFile(few, "w") as target:
        for name in source.namelist()[:3]:
            target.writestr(name, source.read(name))
    ingest(request(out, archives[0]), Silent())
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "write_metadata", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(request(out, archives[1], append=True), Silent())
    ingest(request(out, few, append=True), Silent())
    store = open_store(out)
    assert verify(store, Silent()).problems == ()
    assert zarr.open_array(out / "joints", mode="r").shape[0] == store.metadata.counts.rows


def test_ingest__append_a_second_time_does_nothing(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), Silent())
    metadata = ingest(request(out, archives[1], append=True), Silent())
    assert ingest(request(out, archives[1], append=True), Silent()) == metadata
    assert ingest(request(out, *archives), Silent()) == metadata


def test_ingest__append_refuses_clips_that_are_there(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    before = ingest(request(out, archives[0]), Silent())
    with pytest.raises(StoreExistsError, match=r"of the \d+ raw files are in") as caught:
        ingest(request(out, *archives, append=True), Silent())
    assert "--exclude" in caught.value.remedy
    assert open_store(out).metadata == before


def test_ingest__append_refuses_another_policy_dataset_or_motion(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), Silent())
    asked = request(out, archives[1], append=True)
    for other in (
        replace(asked, policy=paper_policy("ntu120")),
        replace(asked, dataset="ntu120"),
        replace(asked, motion=MotionSpec(stride=2, segment=4)),
    ):
        with pytest.raises(StoreExistsError, match="asked for is"):
            ingest(other, Silent())


def test_ingest__append_needs_a_finished_store(archives: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store there"):
        ingest(request(tmp_path / "s.zarr", archives[0], append=True), Silent())


def test_ingest__without_append_a_finished_store_is_left_alone(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), Silent())
    with pytest.raises(StoreExistsError) as caught:
        ingest(request(out, archives[1]), Silent())
    assert "--append" in caught.value.remedy


def test_extend_arrays__refuses_longer_ids(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), Silent())
    store = open_store(out)
    columns = {**store.columns, "id": layout.pack_ids([f"{name}-longer" for name in store.ids])}
    with pytest.raises(StoreError, match="width"):
        write.extend_arrays(out, store.metadata.counts.rows, columns, len(store.ids))


def test_append__what_plain_zarr_sees(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), Silent())
    metadata = ingest(request(out, archives[1], append=True), Silent())
    for consolidated in (True, False):
        group = zarr.open_group(out, mode="r", use_consolidated=consolidated)
        assert group["joints"].shape[0] == metadata.counts.rows
        assert group["clips/id"].shape[0] == metadata.counts.clips
