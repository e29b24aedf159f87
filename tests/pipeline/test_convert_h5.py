"""HDF5 files: the six datasets in and out, and clips held apart for validation."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.convert import h5_process
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


def add_external_storage(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    (folder / "secret").write_bytes(x.tobytes())
    file.create_dataset(key, shape=x.shape, dtype=x.dtype, external=[(str(folder / "secret"), 0, x.nbytes)])


def add_external_link(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    write_h5(folder / "other.h5", {key: x})
    file[key] = h5py.ExternalLink("other.h5", key)


def add_link_to_a_link(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    write_h5(folder / "other.h5", {key: x})
    file["outside"] = h5py.ExternalLink("other.h5", "/")
    file[key] = h5py.SoftLink(f"/outside/{key}")


def add_virtual_dataset(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    write_h5(folder / "other.h5", {key: x})
    layout = h5py.VirtualLayout(shape=x.shape, dtype=x.dtype)
    layout[:] = h5py.VirtualSource("other.h5", key, shape=x.shape)
    file.create_virtual_dataset(key, layout)


def add_unwritten(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    file.create_dataset(key, shape=x.shape, dtype=x.dtype)


def add_half_of_the_chunks(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    file.create_dataset(key, shape=x.shape, dtype=x.dtype, chunks=(1, *x.shape[1:]))[0] = x[0]


def add_large_chunks(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    rows = 2**28 * len(x) // x.nbytes + 1
    file.create_dataset(key, shape=x.shape, dtype=x.dtype, chunks=(rows, *x.shape[1:]), maxshape=(None, *x.shape[1:]))


def add_unknown_filter(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(x.shape)
    settings.set_filter(32_999, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple(x.shape), h5py.h5t.py_create(x.dtype)
    h5py.h5d.create(file.id, key.encode(), kind, space, settings).write_direct_chunk((0,) * x.ndim, b"packed", 0)


def add_group(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    file.create_group(key)


def add_nothing(file: h5py.File, key: str, x: NDArray[Any], folder: Path) -> None:
    file.create_dataset(key, data=h5py.Empty("f4"))


@pytest.mark.parametrize("key", ["x", "y", "names"])
@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (add_external_storage, "the numbers of '{key}' are in another file, '.*secret'"),
        (add_external_link, "'{key}' is a link to '{key}' in the file 'other.h5'"),
        (add_link_to_a_link, "'{key}' is a link to '/outside/{key}'"),
        (add_virtual_dataset, "'{key}' is a virtual dataset"),
        (add_unwritten, "[0-9,]+ of [0-9,]+ bytes of '{key}' were never written"),
        (add_half_of_the_chunks, "1 of 2 chunks of '{key}' were never written"),
        (add_large_chunks, "a chunk of '{key}' has [0-9,]+ bytes, at most 268,435,456"),
        (add_unknown_filter, "'{key}' is packed by the filter 32999"),
        (add_group, "'{key}' is not a dataset"),
        (add_nothing, "'{key}' has no shape"),
    ],
)
def test_read_h5__only_what_is_in_the_file_and_was_written(
    tmp_path: Path, key: str, add: Callable[[h5py.File, str, NDArray[Any], Path], None], reason: str
) -> None:
    arrays = h5_arrays(*SIDES)
    arrays |= {"names": np.array([b"b", b"a"]), "valid_names": np.array([b"c"]), "test_names": np.array([b"z", b"0"])}
    array = arrays.pop(key)
    write_h5(tmp_path / "f.h5", arrays)
    with h5py.File(tmp_path / "f.h5", "a") as file:
        add(file, key, array, tmp_path)
    with pytest.raises(RawInputError, match=reason.format(key=key)):
        read_h5(tmp_path / "f.h5", None, "xsub")


def test_read_h5__a_claim_of_very_many_clips(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for key, array in h5_arrays(*SIDES).items():
            shape = (10**9, *array.shape[1:]) if key in ("x", "y") else array.shape
            file.create_dataset(key, shape=shape, dtype="<f4", chunks=True)
    with pytest.raises(RawInputError, match=r"never written|expected at most 10,000,000"):
        read_h5(tmp_path / "f.h5", None, "xsub")


def test_read_h5__refuses_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.h5")
    with pytest.raises(RawInputError, match="is a FIFO, not a file"):
        read_h5(tmp_path / "f.h5", None, "xsub")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.abort()", r"HDF5 crashed on it \(SIGABRT\)"),
        ("import time; time.sleep(600)", "HDF5 gave no answer in 1 s"),
    ],
)
def test_read_h5__the_library_crashes_or_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.setattr(h5_process, "_START", code)
    monkeypatch.setattr(h5_process, "ANSWER_SECONDS", 1.0)
    with pytest.raises(RawInputError, match=reason):
        read_h5(write_h5(tmp_path / "f.h5", h5_arrays(*SIDES)), None, "xsub")


def mutate(rng: random.Random, content: bytes) -> bytes:
    """Flip, set, copy or cut some bytes, most of them among the metadata at the beginning."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(data), 12_000)) if rng.random() < 0.8 else rng.randrange(len(data))
        change = rng.randrange(4)
        if change == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[at : at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little")))
        elif change == 2:
            start = rng.randrange(min(len(data), 12_000))
            data[at : at + 64] = data[start : start + 64]
        elif rng.random() < 0.2:
            del data[at + 1 :]
    return bytes(data)


@pytest.mark.parametrize("compressed", [False, True], ids=["contiguous", "in chunks"])
def test_import__mutated_bytes_give_clips_or_an_error(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "f.h5"
    options: dict[str, Any] = {"chunks": True, "compression": "gzip", "fletcher32": True} if compressed else {}
    with h5py.File(path, "w") as file:
        for key, array in h5_arrays([pad(5, seed=1)], [], [pad(2, seed=4)]).items():
            file.create_dataset(key, data=array, **(options if len(array) else {}))
    whole, rng, errors = path.read_bytes(), random.Random(int(compressed)), 0
    for _ in range(12):
        path.write_bytes(mutate(rng, whole))
        try:
            source = read_h5(path, "ntu60", "xsub")
            assert len(list(source.read_clips())) == len(source.infos)
        except RawInputError:
            errors += 1
    assert errors


def test_export_h5__never_overwrites(tmp_path: Path) -> None:
    store = import_h5(write_h5(tmp_path / "f.h5", h5_arrays(*SIDES)))
    with pytest.raises(OutputError, match="already exists"):
        export_h5(store, read_manifest(store, "xsub"), tmp_path / "f.h5", NullProgress())
