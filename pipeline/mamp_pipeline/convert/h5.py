"""Read and write HDF5 files with x, y, valid_x, valid_y, test_x and test_y, in blocks; write features of clips."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.h5_process import H5Process
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
from mamp_pipeline.convert.source import FileArray, ImportSource, check_format, default_remedy
from mamp_schemas.io.atomic import atomic_file
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


@default_remedy()
def read_h5(path: Path, dataset: str | None, protocol: str) -> ImportSource:
    """Read names and labels of an HDF5 file. Clips of `valid_x` are training clips, marked in the manifest.

    Raises:
        RawInputError: it cannot be read, or does not have this layout.
        UsageError: the dataset has no such protocol, or must be given.
    """
    check_format(path, "h5")
    request = PaddedRequest(path, "h5", dataset, protocol)
    process = H5Process(path, _KEYS)
    arrays = {
        key: FileArray(key, shape, dtype, partial(process.read_blocks, key))
        for key, (shape, dtype) in process.arrays.items()
    }
    warn_left_out(path, process.left)
    return read_padded(request, arrays, _LAYOUT)


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
