"""Small files in the three existing formats, and the way through a store and back."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.h5 import export_h5, read_h5
from mamp_pipeline.convert.importer import import_store
from mamp_pipeline.convert.npz import export_npz, read_npz
from mamp_pipeline.convert.pyskl import export_pyskl, read_pyskl
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.progress import NullProgress

Arrays = dict[str, NDArray[Any]]


def pad(frames: int, second: str = "zeros", seed: int = 0) -> NDArray[np.float32]:
    """Return a padded NTU clip (300, 150) whose second slot holds `zeros`, a `copy` or a `body`."""
    clip = np.zeros((300, 150), dtype=np.float32)
    values = np.random.default_rng(seed).normal(size=(2, frames, 75)).astype(np.float32)
    clip[:frames, :75] = values[0]
    if second != "zeros":
        clip[:frames, 75:] = values[0] if second == "copy" else values[1]
    return clip


def one_hot(labels: Sequence[int], classes: int = 60) -> NDArray[np.float32]:
    return np.asarray(np.eye(classes, dtype=np.float32)[np.array(labels, dtype=int)])


def stack(clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(clips) if clips else np.zeros((0, 300, 150), dtype=np.float32)


def npz_arrays(train: Sequence[NDArray[np.float32]], test: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return the arrays of an NTU-60 file without names; labels count up."""
    return {
        "x_train": stack(train),
        "y_train": one_hot([k % 60 for k in range(len(train))]),
        "x_test": stack(test),
        "y_test": one_hot([k % 60 for k in range(len(test))]),
    }


def h5_arrays(*sides: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return the six datasets of an NTU-60 file: train, valid, test."""
    arrays = {}
    for prefix, clips in zip(("", "valid_", "test_"), sides, strict=True):
        arrays[f"{prefix}x"] = stack(clips)
        arrays[f"{prefix}y"] = one_hot([k % 60 for k in range(len(clips))])
    return arrays


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def write_h5(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return path


def read_arrays(path: Path) -> Arrays:
    """Return all arrays of an npz or HDF5 file."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {key: file[key] for key in file.files}
    with h5py.File(path) as file:
        return {key: file[key][...] for key in file}


def annotation(name: str, bodies: int, frames: int, label: int = 0, seed: int = 0) -> dict[str, Any]:
    keypoint = np.random.default_rng(seed).normal(size=(bodies, frames, 25, 3)).astype(np.float32)
    return {"frame_dir": name, "label": label, "total_frames": frames, "keypoint": keypoint}


def pyskl_content() -> dict[str, Any]:
    """Return a file of three NTU-60 clips with two protocols' splits."""
    names = ["S001C001P001R001A001", "S001C002P003R001A002", "S002C003P001R002A060"]
    return {
        "split": {
            "xsub_train": [names[2], names[0]],
            "xsub_val": [names[1]],
            "xview_train": names[1:],
            "xview_val": names[:1],
        },
        "annotations": [
            annotation(names[0], 1, 5, 0, seed=1),
            annotation(names[1], 2, 7, 1, seed=2),
            annotation(names[2], 1, 400, 59, seed=3),
        ],
    }


def write_pickle(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def import_npz(path: Path, protocol: str = "xsub") -> Store:
    out = path.with_suffix(".zarr")
    import_store(read_npz(path, None, protocol), out, NullProgress())
    return open_store(out)


def import_h5(path: Path, protocol: str = "xsub") -> Store:
    out = path.with_suffix(".zarr")
    import_store(read_h5(path, None, protocol), out, NullProgress())
    return open_store(out)


def import_pyskl(path: Path) -> Store:
    out = path.with_suffix(".zarr")
    import_store(read_pyskl(path, "ntu60"), out, NullProgress())
    return open_store(out)


def round_trip(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Write arrays to an npz or HDF5 file, import it, check the store, and read what an export of it holds."""
    again = path.with_name(f"again{path.suffix}")
    if path.suffix == ".npz":
        store = import_npz(write_npz(path, arrays))
        export_npz(store, read_manifest(store, "xsub"), again, NullProgress())
    else:
        store = import_h5(write_h5(path, arrays))
        export_h5(store, read_manifest(store, "xsub"), again, NullProgress())
    assert verify_store(store, NullProgress()).problems == ()
    return read_arrays(again)


def round_trip_pyskl(path: Path, content: object) -> Any:
    """Write a pyskl pickle, import it, check the store, and read an export of it as other code does."""
    store = import_pyskl(write_pickle(path, content))
    assert verify_store(store, NullProgress()).problems == ()
    protocols = store.metadata.dataset_spec().protocols
    manifests = [read_manifest(store, protocol.name) for protocol in protocols]
    again = path.with_name("again.pkl")
    export_pyskl(store, manifests, again, NullProgress())
    return pickle.loads(again.read_bytes())


def assert_same_bits(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    assert set(found) == set(expected)
    for key, array in expected.items():
        assert found[key].shape == array.shape, key
        assert found[key].dtype == array.dtype, key
        assert found[key].tobytes() == array.tobytes(), key
