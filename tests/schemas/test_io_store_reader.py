import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from mamp_schemas.errors import DamagedStoreError, IncompleteStoreError, StoreError
from mamp_schemas.io.store_reader import open_store
from tests.trainer.stores import make_clips, write_store

SHAPES = [(1, 40), (2, 30), (1, 7)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_store(tmp_path / "ntu60.zarr", make_clips(SHAPES))


def put_column(path: Path, name: str, values: list[int]) -> None:
    zarr.open_group(path / "clips", mode="r+").create_array(name, data=np.array(values), overwrite=True)


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


def test_open_store__refuses_another_format_version(path: Path) -> None:
    zarr.open_group(path, mode="r+").attrs["format_version"] = 2
    with pytest.raises(StoreError, match="format version 2"):
        open_store(path)


def test_open_store__names_an_unknown_key_of_the_metadata(path: Path) -> None:
    zarr.open_group(path, mode="r+").attrs["colour"] = "red"
    with pytest.raises(StoreError, match="unknown key: colour"):
        open_store(path)


def test_open_store__refuses_arrays_shorter_than_the_columns_say(path: Path) -> None:
    metadata = path / "motion" / "zarr.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"shape": [106, 25, 3]}))
    with pytest.raises(DamagedStoreError, match=r"'motion' has shape \(106, 25, 3\), .* need 107 rows"):
        open_store(path)


def test_open_store__refuses_a_missing_array(path: Path) -> None:
    (path / "joints" / "zarr.json").unlink()
    with pytest.raises(DamagedStoreError, match="'joints' is missing"):
        open_store(path)


def test_open_store__refuses_a_short_column(path: Path) -> None:
    put_column(path, "label", [0, 1])
    with pytest.raises(DamagedStoreError, match="3 clips, but column 'label' has 2"):
        open_store(path)


@pytest.mark.parametrize(
    ("column", "value"), [("valid_frames", 0), ("valid_frames", 31), ("bodies", 3), ("bodies", 0), ("first_row", -1)]
)
def test_open_store__names_a_clip_that_cannot_be(path: Path, column: str, value: int) -> None:
    values = open_store(path).column(column)
    values[1] = value
    put_column(path, column, values.tolist())
    with pytest.raises(DamagedStoreError, match="clip001"):
        open_store(path)


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
