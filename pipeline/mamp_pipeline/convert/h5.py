"""Read and write HDF5 files with x, y, valid_x, valid_y, test_x and test_y, in blocks; write features of clips."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.padded import (
    PADDED_FRAMES,
    PaddedRequest,
    SplitKeys,
    check_exportable,
    pad_clips,
    padded_labels,
    padded_names,
    padded_width,
    read_padded,
    warn_left_out,
)
from mamp_pipeline.convert.source import FileArray, ImportSource, check_format
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.atomic import atomic_file
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.splits import SplitManifest
from mamp_schemas.progress import Progress

_LAYOUT = (
    SplitKeys("train", "x", "y", "names"),
    SplitKeys("valid", "valid_x", "valid_y", "valid_names"),
    SplitKeys("test", "test_x", "test_y", "test_names"),
)
_KEYS = tuple(key for keys in _LAYOUT for key in (keys.x, keys.y, keys.names))


def export_h5(store: Store, manifest: SplitManifest, out: Path, progress: Progress) -> None:
    """Write the six datasets of a protocol and the names of the clips, in the manifest's order.

    x is (clips, 300, M·V·3) float32, y is (clips, classes) float32 one-hot, names are the clip ids. The manifest's
    validation clips go into valid_x, not into x. A store that was imported from a file with class numbers or without
    names is written in the form of that file.

    Raises:
        OutputError: `out` already exists or cannot be written.
        ManifestError: the manifest names a clip that the store does not have.
        StoreError: a clip does not fit the layout.
    """
    validation = set(manifest.valid)
    ids = {
        "train": [name for name in manifest.train if name not in validation],
        "valid": manifest.valid,
        "test": manifest.test,
    }
    splits = {split: store.clip_indices(names) for split, names in ids.items()}
    check_exportable(store, np.concatenate(list(splits.values())))
    with atomic_file(out) as temporary, h5py.File(temporary, "w") as file:
        progress.start("export", sum(len(clips) for clips in splits.values()), "clips")
        for keys in _LAYOUT:
            _write_split(file, store, keys, splits[keys.split], progress)


def _write_split(file: h5py.File, store: Store, keys: SplitKeys, clips: NDArray[np.int64], progress: Progress) -> None:
    x = file.create_dataset(keys.x, shape=(len(clips), PADDED_FRAMES, padded_width(store)), dtype="<f4")
    first = 0
    for block in pad_clips(store, clips):
        x[first : first + len(block)] = block
        first += len(block)
        progress.advance(len(block))
    file.create_dataset(keys.y, data=padded_labels(store, clips))
    names = padded_names(store, clips)
    if names is not None:
        file.create_dataset(keys.names, data=names.astype(np.bytes_))


def read_h5(path: Path, dataset: str | None, protocol: str) -> ImportSource:
    """Read names and labels of an HDF5 file. Clips of `valid_x` are training clips, marked in the manifest.

    Raises:
        RawInputError: it cannot be read, or does not have this layout.
        UsageError: the dataset has no such protocol, or must be given.
    """
    check_format(path, "h5")
    request = PaddedRequest(path, "h5", dataset, protocol)
    with _open_h5(path) as file:
        left = [key for key in file if key not in _KEYS]
        datasets = {key: _find_dataset(path, file, key) for key in _KEYS if file.get(key, getlink=True)}
        arrays = {
            key: FileArray(key, array.shape, array.dtype, partial(_read_blocks, path, key))
            for key, array in datasets.items()
        }
    warn_left_out(path, left)
    return read_padded(request, arrays, _LAYOUT)


def _read_blocks(path: Path, key: str, rows: int) -> Iterator[NDArray[Any]]:
    with _open_h5(path) as file:
        array = _find_dataset(path, file, key)
        for start in range(0, array.shape[0], rows):
            yield array[start : start + rows]


def _find_dataset(path: Path, file: h5py.File, key: str) -> h5py.Dataset:
    """Return a dataset whose bytes are all in the file: HDF5 would follow a link or a list of files to any other.

    Raises:
        RawInputError: it is a link, or is or refers to something else, or parts of it were never written, which HDF5
            reads as zeros.
    """
    link = file.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise _foreign_error(path, f"'{key}' is a link to {_link_target(link)}")
    if file.get(key, getclass=True) is not h5py.Dataset:
        raise RawInputError(f"{path}: '{key}' is not a dataset", remedy="Make the file again.")
    dataset = file[key]
    settings = dataset.id.get_create_plist()
    # Before the shape, for which HDF5 opens the files of a virtual dataset.
    if settings.get_layout() == h5py.h5d.VIRTUAL:
        raise _foreign_error(path, f"'{key}' is a virtual dataset, made of datasets of other files")
    if settings.get_external_count():
        name = os.fsdecode(settings.get_external(0)[0])
        raise _foreign_error(path, f"the numbers of '{key}' are in another file, {name!r}")
    if dataset.shape is None:
        raise RawInputError(f"{path}: '{key}' has no shape and no numbers", remedy="Make the file again.")
    if unwritten := _unwritten(dataset):
        raise RawInputError(
            f"{path}: {unwritten} of '{key}' were never written: HDF5 would read them as zeros",
            remedy="Write the file again, to its end.",
        )
    return dataset


def _link_target(link: Any) -> str:
    target = getattr(link, "path", "something that HDF5 does not know")
    return f"{target!r} in the file {link.filename!r}" if isinstance(link, h5py.ExternalLink) else f"{target!r}"


def _foreign_error(path: Path, what: str) -> RawInputError:
    return RawInputError(
        f"{path}: {what}: only datasets that are in the file itself are read",
        remedy="Copy the numbers into one file under these names: h5py reads them, and create_dataset writes them.",
    )


def _unwritten(dataset: h5py.Dataset) -> str:
    """Return how much of a dataset is missing from the file, empty if nothing is."""
    if not dataset.size:
        return ""
    if dataset.chunks is None:
        missing = int(dataset.nbytes - dataset.id.get_storage_size())
        return f"{missing:,} of {dataset.nbytes:,} bytes" if missing > 0 else ""
    total = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    missing = total - dataset.id.get_num_chunks()
    return f"{missing:,} of {total:,} chunks" if missing > 0 else ""


@contextmanager
def _open_h5(path: Path) -> Iterator[h5py.File]:
    try:
        with open_regular(path) as opened, h5py.File(opened, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RawInputError(
            f"{path}: not a readable HDF5 file: {reason}", remedy="Make or fetch the file again."
        ) from problem


def write_features(out: Path, columns: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
    """Write features of clips and what they were computed from.

    Args:
        out: the file.
        columns: arrays or lists of strings, one entry per clip.
        attributes: attributes of the file.

    Raises:
        OutputError: `out` already exists or cannot be written.
    """
    with atomic_file(out) as temporary, h5py.File(temporary, "w") as file:
        for name, column in columns.items():
            file[name] = column if isinstance(column, np.ndarray) else np.array(column, dtype=h5py.string_dtype())
        file.attrs.update(attributes)
