import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamp_schemas.errors import DamagedStoreError, IncompleteStoreError, StoreError
from mamp_schemas.io.store_reader import is_complete, open_store
from mamp_schemas.io.store_root import seal_root
from mamp_schemas.models.store import CLIP_COLUMNS
from tests.trainer.stores import change_store, make_clips, write_store

SHAPES = [(1, 40), (2, 30), (1, 7)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("written") / "ntu60.zarr", make_clips(SHAPES))


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "ntu60.zarr")


def change_root(path: Path, **attributes: Any) -> None:
    """Change attributes of a store, with the digest that then belongs there."""
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] = {**root["attributes"], **attributes}
    del root["attributes"]["digest"]
    (path / "zarr.json").write_bytes(seal_root(root))


def column_file(path: Path, name: str) -> Path:
    return next(file for file in (path / "clips" / name / "c").rglob("*") if file.is_file())


def flip_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def test_open_store__reads_metadata_ids_and_columns(path: Path) -> None:
    store = open_store(path)
    assert store.metadata.counts.clips == 3
    assert store.ids == ["clip000", "clip001", "clip002"]
    assert store.column("first_row").tolist() == [0, 40, 100]
    assert store.column("frames").dtype == np.int64


def test_open_store__a_missing_path_names_the_ingest_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store") as caught:
        open_store(tmp_path / "none.zarr")
    assert "mampctl ingest" in caught.value.remedy


def test_open_store__refuses_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a store"):
        open_store(tmp_path)


def test_open_store__refuses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.zarr"
    path.write_text("notes")
    with pytest.raises(StoreError, match="not a store"):
        open_store(path)


def test_open_store__refuses_a_store_without_completion_mark(tmp_path: Path) -> None:
    path = write_store(tmp_path / "half.zarr", make_clips(SHAPES), complete=False)
    with pytest.raises(IncompleteStoreError, match="did not finish") as caught:
        open_store(path)
    assert "same `mampctl ingest` command" in caught.value.remedy


def test_open_store__says_that_an_ingest_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "my store.zarr.staging").mkdir()
    with pytest.raises(IncompleteStoreError, match="there is no store yet") as caught:
        open_store(tmp_path / "my store.zarr")
    assert "again: the same command" in caught.value.remedy


@pytest.mark.parametrize("version", [1, 3])
def test_open_store__refuses_another_format_version(path: Path, version: int) -> None:
    change_root(path, format_version=version)
    with pytest.raises(StoreError, match=f"format version {version}, this mampctl reads version 2") as caught:
        open_store(path)
    assert "make it again by the same `mampctl ingest`" in caught.value.remedy


def test_open_store__refuses_a_store_of_the_first_version_which_had_no_digest(path: Path) -> None:
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["format_version"] = 1
    del root["attributes"]["digest"], root["attributes"]["checksums"]
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match="format version 1, this mampctl reads version 2"):
        open_store(path)


def test_open_store__names_an_unknown_key_of_the_metadata(path: Path) -> None:
    change_root(path, colour="red")
    with pytest.raises(StoreError, match="unknown key: colour"):
        open_store(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"clips":3', '"clips":2'),
        ('"centre":1', '"centre":9'),
        ('"complete":true', '"complfte":true'),
        ('"digest"', '"dhgest"'),
        ('"attributes":{"chec', '"attribuues":{"chec'),
        ('"consolidated_metadata"', '"consolid!ted_metadata"'),
        ('"format_version":2', '"format_version":3'),
        ('"node_type":"group","zarr', '"node_type":"groep","zarr'),
        ('"shape":[107', '"shape":[167'),
    ],
)
def test_open_store__refuses_an_edited_root(path: Path, old: str, new: str) -> None:
    text = (path / "zarr.json").read_text()
    assert old in text
    (path / "zarr.json").write_text(text.replace(old, new, 1))
    with pytest.raises(DamagedStoreError, match=r"ntu60.zarr: .*zarr\.json"):
        open_store(path)


def test_open_store__refuses_a_root_with_any_bit_flipped(path: Path) -> None:
    whole = (path / "zarr.json").read_bytes()
    for at in range(0, len(whole) * 8, 101):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        (path / "zarr.json").write_bytes(damaged)
        with pytest.raises(StoreError, match=r"zarr\.json|format version"):
            open_store(path)


def test_open_store__needs_the_root_alone(path: Path) -> None:
    for node in path.rglob("*/zarr.json"):
        node.write_text("{")
    assert open_store(path).read_rows("joints", 0, 107).shape == (107, 25, 3)


def test_open_store__refuses_arrays_shorter_than_the_columns_say(path: Path) -> None:
    columns = {"frames": [40, 31, 7], "first_row": [0, 40, 102]}
    change_store(path, columns)
    with pytest.raises(DamagedStoreError, match=r"'joints' has shape \(107, 25, 3\), .* need 109 rows"):
        open_store(path)


def test_open_store__refuses_a_root_without_an_array(path: Path) -> None:
    root = json.loads((path / "zarr.json").read_text())
    del root["consolidated_metadata"]["metadata"]["joints"]
    (path / "zarr.json").write_text(json.dumps(root))
    change_root(path)
    with pytest.raises(DamagedStoreError, match="'joints' is missing"):
        open_store(path)


def test_open_store__refuses_a_short_column(path: Path) -> None:
    change_store(path, {"label": [0, 1]})
    with pytest.raises(DamagedStoreError, match="3 clips, but column 'label' has 2"):
        open_store(path)


@pytest.mark.parametrize("name", CLIP_COLUMNS)
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b""), flip_bit])
def test_open_store__a_damaged_column_is_named(path: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(column_file(path, name))
    with pytest.raises(DamagedStoreError, match=f"clips/{name}/c/0"):
        open_store(path)


def put_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def put_endless(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def put_sparse(file: Path) -> None:
    os.truncate(file, 2**40)


@pytest.mark.parametrize("damage", [put_fifo, put_endless, put_sparse])
def test_open_store__what_is_no_file_is_named_and_not_opened(path: Path, damage: Callable[[Path], None]) -> None:
    damage(column_file(path, "label"))
    with pytest.raises(DamagedStoreError, match=r"clips/label/c/0\)"):
        open_store(path)


@pytest.mark.parametrize("damage", [put_fifo, put_endless])
def test_read_rows__what_is_no_file_is_named_and_not_opened(path: Path, damage: Callable[[Path], None]) -> None:
    damage(shard(path, 1))
    with pytest.raises(DamagedStoreError, match="joints/c/1/0/0"):
        open_store(path).read_rows("joints", 32, 40)


def test_open_store__a_column_in_the_place_of_another_is_named(path: Path) -> None:
    column_file(path, "subject").write_bytes(column_file(path, "camera").read_bytes())
    with pytest.raises(DamagedStoreError, match="clips/subject/c/0 is gone or not as it was written there"):
        open_store(path)


@pytest.mark.parametrize(
    ("column", "value"), [("valid_frames", 0), ("valid_frames", 31), ("bodies", 3), ("bodies", 0), ("first_row", -1)]
)
def test_open_store__names_a_clip_that_cannot_be(path: Path, column: str, value: int) -> None:
    values = open_store(path).column(column)
    values[1] = value
    change_store(path, {column: values.tolist()})
    with pytest.raises(DamagedStoreError, match="clip001"):
        open_store(path)


def test_is_complete__a_damaged_root_is_an_error(path: Path) -> None:
    assert is_complete(path)
    (path / "zarr.json").write_text((path / "zarr.json").read_text().replace("true", "trua", 1))
    with pytest.raises(DamagedStoreError, match=r"zarr\.json"):
        is_complete(path)


def shard(path: Path, number: int) -> Path:
    return path / "joints" / "c" / str(number) / "0" / "0"


def test_read_rows__returns_rows_across_shards(path: Path) -> None:
    first, second = make_clips(SHAPES)[:2]
    expected = np.concatenate([first.joints[0], second.joints[0]])[20:70]
    assert np.array_equal(open_store(path).read_rows("joints", 20, 70), expected)


def test_read_rows__a_vanished_shard_is_an_error_not_numbers(path: Path) -> None:
    shard(path, 1).unlink()
    with pytest.raises(DamagedStoreError, match=r"rows 20 to 70 of 'joints' .* is gone"):
        open_store(path).read_rows("joints", 20, 70)


@pytest.mark.parametrize("left", [0, 3, 1000])
def test_read_rows__a_truncated_shard_is_named(path: Path, left: int) -> None:
    content = shard(path, 1).read_bytes()
    shard(path, 1).write_bytes(content[:left])
    with pytest.raises(DamagedStoreError, match="rows 0 to 64 of 'joints'") as caught:
        open_store(path).read_rows("joints", 0, 64)
    assert "mampctl verify" in caught.value.remedy


def test_read_rows__a_shard_in_the_place_of_another_is_named(path: Path) -> None:
    first, second = shard(path, 1).read_bytes(), shard(path, 2).read_bytes()
    shard(path, 1).write_bytes(second)
    shard(path, 2).write_bytes(first)
    store = open_store(path)
    assert store.read_rows("joints", 0, 32).shape == (32, 25, 3)
    with pytest.raises(DamagedStoreError, match=r"rows 40 to 44 .*joints/c/1/0/0 is not as it was written there"):
        store.read_rows("joints", 40, 44)


def test_read_rows__a_shard_of_another_array_is_named(path: Path) -> None:
    (path / "motion/c/0/0/0").write_bytes(shard(path, 0).read_bytes())
    with pytest.raises(DamagedStoreError, match=r"motion/c/0/0/0 is not as it was written there"):
        open_store(path).read_rows("motion", 0, 1)
