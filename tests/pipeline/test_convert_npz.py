"""npz files: streamed in and out, kinds of labels and names kept, and what does not fit is refused with its place."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.convert.npz import read_npz
from mamp_pipeline.splits import build_manifest
from mamp_schemas.errors import ManifestError, RawInputError, UsageError
from mamp_schemas.io.manifests import read_manifest
from tests.pipeline.convert_cases import (
    Arrays,
    assert_same_bits,
    import_npz,
    npz_arrays,
    one_hot,
    pad,
    round_trip,
    write_npz,
)

NAMES = ["S001C002P008R001A003", "S001C001P001R001A001", "S001C001P002R001A002"]


def arrays_with_names() -> Arrays:
    """Three clips whose names do not sort in the file's order; subjects 8, 1 and 2 train, 3 tests."""
    return {
        "x_train": np.stack([pad(5, seed=1), pad(3, "body", seed=2), pad(300, seed=3)]),
        "y_train": one_hot([2, 0, 1]),
        "names_train": np.array(NAMES),
        "x_test": pad(2, seed=4)[None],
        "y_test": one_hot([9]),
        "names_test": np.array(["S001C003P003R001A010"]),
    }


def test_import__order_of_the_file_is_kept_though_names_do_not_sort(tmp_path: Path) -> None:
    arrays = arrays_with_names()
    assert_same_bits(round_trip(tmp_path / "f.npz", arrays), arrays)


def test_import__numbers_come_from_the_names(tmp_path: Path) -> None:
    store = import_npz(write_npz(tmp_path / "f.npz", arrays_with_names()))
    assert store.ids == sorted([*NAMES, "S001C003P003R001A010"])
    assert store.columns["subject"].tolist() == [1, 2, 8, 3]
    assert store.columns["camera"].tolist() == [1, 1, 2, 3]
    assert build_manifest(store, "xview").train == ("S001C002P008R001A003", "S001C003P003R001A010")


def test_import__ids_are_made_where_the_file_has_none(tmp_path: Path) -> None:
    store = import_npz(write_npz(tmp_path / "f.npz", npz_arrays([pad(2), pad(3)], [pad(4)])))
    assert store.ids == ["test_000001", "train_000001", "train_000002"]
    assert read_manifest(store, "xsub").train == ("train_000001", "train_000002")
    with pytest.raises(ManifestError, match="no camera number to split by, the first is test_000001"):
        build_manifest(store, "xview")


def test_import__class_numbers_stay_class_numbers(tmp_path: Path) -> None:
    arrays = {**npz_arrays([pad(2), pad(3)], [pad(4)]), "y_train": np.array([61, 3]), "y_test": np.array([119])}
    assert_same_bits(round_trip(tmp_path / "f.npz", arrays), arrays)


def test_import__doubles_as_labels_and_compressed_members(tmp_path: Path) -> None:
    arrays = npz_arrays([pad(2), pad(3, "copy")], [pad(4, "copy")])
    doubles = {key: array.astype(np.float64) for key, array in arrays.items()}
    np.savez_compressed(tmp_path / "f.npz", **doubles)  # type: ignore[arg-type]
    store = import_npz(tmp_path / "f.npz")
    assert store.metadata.policy.empty_slot == "copy"
    np.testing.assert_array_equal(store.columns["label"], [0, 0, 1])


def change(key: str, value: np.ndarray | None) -> Callable[[Arrays], None]:
    def apply(arrays: Arrays) -> None:
        if value is None:
            del arrays[key]
        else:
            arrays[key] = value

    return apply


def put_nan(arrays: Arrays) -> None:
    arrays["x_test"][0, 17, 4] = np.nan


REFUSED = [
    (change("x_test", None), "no x_test in it; got x_train, y_test, y_train"),
    (change("names_train", np.array(["a"])), "names for some splits only: no names_test"),
    (change("y_test", one_hot([1, 2])), "differ in length"),
    (change("y_test", np.full((1, 60), 0.5)), "'y_test', row 0: not one-hot"),
    (change("y_test", np.array([3])), "labels of two kinds"),
    (change("x_test", np.zeros((1, 300, 100), dtype=np.float32)), "2D input cannot be used yet"),
    (change("y_test", np.array(["a"])), "expected one-hot rows"),
    (change("x_test", np.zeros((1, 300, 150), dtype=np.int32)), "dtype int32, expected .* floating-point"),
    (change("x_test", np.zeros((1, 150), dtype=np.float32)), r"shape \(1, 150\)"),
    (
        change("x_test", np.zeros((1, 200, 150), dtype=np.float32)),
        r"shape \(1, 200, 150\), expected \(clips, 300, 150\)",
    ),
    (change("x_test", np.zeros((1, 300, 102), dtype=np.float32)), r"shape \(1, 300, 102\), expected"),
    (change("y_test", one_hot([3], 51)), "'y_test' has 51 classes, expected 60"),
    (change("x_test", np.array([None])), "pickled Python objects"),
    (change("x_test", np.asfortranarray(np.zeros((2, 300, 150), dtype=np.float32))), "column by column"),
    (put_nan, r"'x_test'\[0, 17, 4\] \(clip test_000001\): got nan, expected a finite"),
]


@pytest.mark.parametrize(("damage", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_import__refuses(tmp_path: Path, damage: Callable[[Arrays], None], message: str) -> None:
    arrays = npz_arrays([pad(2), pad(3)], [pad(4)])
    damage(arrays)
    with pytest.raises(RawInputError, match=message):
        import_npz(write_npz(tmp_path / "f.npz", arrays))
    assert [path.name for path in tmp_path.iterdir()] == ["f.npz"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("y_train", one_hot([2, 0, 7]), "S001C001P002R001A002 has label 7, its name says 1"),
        ("names_train", np.array([*NAMES[:2], "S001C001P003R001A002"]), "P003R001A002 .subject 3. in the train split"),
        ("names_train", np.array([*NAMES[:2], NAMES[0]]), "is there 2 times"),
        ("names_train", np.array([*NAMES[:2], ""]), "clip name ''"),
        ("names_train", np.array([*NAMES[:2], "naïve"]), "printable ASCII"),
        ("names_train", np.array([*NAMES[:2], "S020C001P002R001A002"]), "not of NTU RGB"),
        ("names_train", np.array([*NAMES[:2], "S001C001P041R001A002"]), "subject 41, NTU RGB.D 60 has 1 to 40"),
        ("names_train", np.array([*NAMES[:2], "S001C004P002R001A002"]), "camera 4, NTU RGB.D 60 has 1 to 3"),
        ("names_train", np.array([1, 2, 3]), "expected a string of up to 255 characters"),
    ],
)
def test_import__refuses_names_that_contradict(tmp_path: Path, key: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(RawInputError, match=message):
        import_npz(write_npz(tmp_path / "f.npz", {**arrays_with_names(), key: value}))


def test_read_npz__a_dataset_that_the_file_leaves_open_must_be_named(tmp_path: Path) -> None:
    arrays = {**npz_arrays([pad(2)], [pad(4)]), "y_train": np.array([1]), "y_test": np.array([2])}
    path = write_npz(tmp_path / "f.npz", arrays)
    with pytest.raises(UsageError, match="could be of ntu60, ntu120"):
        read_npz(path, None, "xsub")
    assert read_npz(path, "ntu120", "xset").dataset.name == "ntu120"
    with pytest.raises(UsageError, match="its protocols are: xsub, xview"):
        read_npz(path, "ntu60", "xset")


def test_import__a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(2), pad(3)], [pad(4)]))
    content = bytearray(path.read_bytes())
    content[200_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(RawInputError, match="CRC"):
        import_npz(path)
    assert not path.with_suffix(".zarr").exists()


def test_read_npz__cut_short_and_not_a_zip(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(2)], [pad(4)]))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RawInputError, match="not a readable npz file"):
        read_npz(path, None, "xsub")
    with pytest.raises(RawInputError, match="No such file"):
        read_npz(tmp_path / "nowhere.npz", None, "xsub")


def test_read_npz__a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(2)], [pad(4)]))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_test.npy"] = members["x_test.npy"].replace(b"(1, 300, 150)", b"(9, 300, 150)")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(RawInputError, match="'x_test' has 180000 bytes, its header says 1620000"):
        read_npz(path, None, "xsub")
