"""HDF5 files: the six datasets in and out, and clips held apart for validation."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mamp_pipeline.convert.h5 import export_h5, read_h5
from mamp_pipeline.convert.npz import export_npz
from mamp_schemas.errors import OutputError, RawInputError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.progress import NullProgress
from tests.pipeline.convert_cases import (
    assert_same_bits,
    h5_arrays,
    import_h5,
    pad,
    read_arrays,
    round_trip,
    write_h5,
)

SIDES = ([pad(5, seed=1), pad(3, "body", seed=2)], [pad(300, seed=3)], [pad(2, seed=4), pad(0)])


def test_import__six_datasets_come_back(tmp_path: Path) -> None:
    arrays = h5_arrays(*SIDES)
    assert_same_bits(round_trip(tmp_path / "f.h5", arrays), arrays)


def test_import__class_numbers_and_empty_validation_come_back(tmp_path: Path) -> None:
    arrays = h5_arrays(SIDES[0], [], SIDES[2])
    arrays = {key: a.argmax(axis=1) + 60 * (key == "y") if key.endswith("y") else a for key, a in arrays.items()}
    assert_same_bits(round_trip(tmp_path / "f.h5", arrays), arrays)


def test_import__validation_clips_are_on_the_train_side_and_marked(tmp_path: Path) -> None:
    store = import_h5(write_h5(tmp_path / "f.h5", h5_arrays(*SIDES)))
    manifest = read_manifest(store, "xsub")
    assert manifest.train == ("train_000001", "train_000002", "valid_000001")
    assert manifest.valid == ("valid_000001",)
    assert manifest.counts.train == 3
    export_npz(store, manifest, tmp_path / "f.npz", NullProgress())
    np.testing.assert_array_equal(read_arrays(tmp_path / "f.npz")["x_train"], np.stack([*SIDES[0], *SIDES[1]]))


def test_import__names_come_back_in_their_order(tmp_path: Path) -> None:
    arrays = h5_arrays(*SIDES)
    arrays |= {"names": np.array([b"b", b"a"]), "valid_names": np.array([b"c"]), "test_names": np.array([b"z", b"0"])}
    assert_same_bits(round_trip(tmp_path / "f.h5", arrays), arrays)


def test_import__any_chunks_and_compression(tmp_path: Path) -> None:
    arrays = h5_arrays(*SIDES)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, chunks=True, compression="gzip")
    store = import_h5(tmp_path / "f.h5")
    export_h5(store, read_manifest(store, "xsub"), tmp_path / "again.h5", NullProgress())
    assert_same_bits(read_arrays(tmp_path / "again.h5"), arrays)


def test_read_h5__names_what_is_missing(tmp_path: Path) -> None:
    arrays = h5_arrays(*SIDES)
    del arrays["valid_y"]
    with pytest.raises(RawInputError, match="no valid_y in it; got test_x, test_y, valid_x, x, y"):
        read_h5(write_h5(tmp_path / "f.h5", arrays), None, "xsub")


def test_import__refuses_nan_with_its_place(tmp_path: Path) -> None:
    arrays = h5_arrays(*SIDES)
    arrays["valid_x"][0, 299, 149] = np.nan
    with pytest.raises(RawInputError, match=r"'valid_x'\[0, 299, 149\] \(clip valid_000001\)"):
        import_h5(write_h5(tmp_path / "f.h5", arrays))


def test_read_h5__not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "f.h5").write_bytes(b"not this")
    with pytest.raises(RawInputError, match="not a readable HDF5 file"):
        read_h5(tmp_path / "f.h5", None, "xsub")


def test_export_h5__never_overwrites(tmp_path: Path) -> None:
    store = import_h5(write_h5(tmp_path / "f.h5", h5_arrays(*SIDES)))
    with pytest.raises(OutputError, match="already exists"):
        export_h5(store, read_manifest(store, "xsub"), tmp_path / "f.h5", NullProgress())
