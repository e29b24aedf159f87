"""Read and write the npz files of MAMP and CTR-GCN. Both directions work on blocks, one in memory at a time."""

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
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
from mamp_pipeline.convert.source import FileArray, ImportSource, check_format, default_remedy
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.atomic import atomic_file
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.io.safe_pickle import check_characters
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.splits import SplitManifest
from mamp_schemas.progress import Progress

_LAYOUT = (
    SplitKeys("train", "x_train", "y_train", "names_train"),
    SplitKeys("test", "x_test", "y_test", "names_test"),
)
_KEYS = {key for keys in _LAYOUT for key in (keys.x, keys.y, keys.names)}
_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, SyntaxError, RuntimeError, NotImplementedError, OverflowError,
    MemoryError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""Errors of zipfile, its decompressors and numpy's reading of headers, for files that are truncated or altered."""


@default_remedy()
def read_npz(path: Path, dataset: str | None, protocol: str) -> ImportSource:
    """Read the table of an npz file with x_train, y_train, x_test, y_test and perhaps names_train, names_test.

    Raises:
        RawInputError: it cannot be read, or does not have this layout.
        UsageError: the dataset has no such protocol, or must be named.
    """
    check_format(path, "npz")
    return read_padded(PaddedRequest(path, "npz", dataset, protocol), _find_arrays(path), _LAYOUT)


def _find_arrays(path: Path) -> dict[str, FileArray]:
    arrays: dict[str, FileArray] = {}
    left = []
    with _npz_errors(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            key = entry.filename.removesuffix(".npy")
            if key in arrays:
                raise RawInputError(f"{path}: has '{key}' twice", remedy="Write the file again, with each array once.")
            if key not in _KEYS:
                left.append(key)
            else:
                with archive.open(entry) as member:
                    shape, dtype = _read_header(path, key, member)
                    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
                    if member.tell() + size != entry.file_size:
                        raise RawInputError(
                            f"{path}: '{key}' has {entry.file_size - member.tell()} bytes, its header says {size}"
                        )
                arrays[key] = FileArray(key, shape, dtype, partial(_read_blocks, path, entry.filename))
    warn_left_out(path, left)
    return arrays


def _read_header(path: Path, key: str, member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(member)
    if version not in _HEADERS:
        raise RawInputError(f"{path}: '{key}' is of npy version {version}, expected 1.0 or 2.0")
    shape, fortran, dtype = _HEADERS[version](member)
    if dtype.hasobject:
        raise RawInputError(
            f"{path}: '{key}' holds pickled Python objects, which are not read",
            remedy="Write the file again with plain numbers and strings.",
        )
    if fortran and len(shape) > 1:
        raise RawInputError(
            f"{path}: '{key}' is stored column by column (Fortran order), which cannot be read clip by clip",
            remedy="Write it again with numpy.ascontiguousarray.",
        )
    return shape, dtype


def _read_blocks(path: Path, member_name: str, rows: int) -> Iterator[NDArray[Any]]:
    with (
        _npz_errors(path),
        open_regular(path) as file,
        zipfile.ZipFile(file) as archive,
        archive.open(member_name) as member,
    ):
        shape, dtype = _read_header(path, member_name, member)
        for start in range(0, shape[0], rows):
            block = (min(rows, shape[0] - start), *shape[1:])
            data = member.read(int(np.prod(block)) * dtype.itemsize)
            check_characters(data, dtype)
            yield np.frombuffer(data, dtype=dtype).reshape(block)
        if member.read(1):  # at the end of a member, its checksum is compared
            raise EOFError(f"'{member_name}' is longer than its header says")


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RawInputError(
            f"{path}: not a readable npz file: {reason}", remedy="Make or fetch the file again."
        ) from problem


def export_npz(store: Store, manifest: SplitManifest, out: Path, progress: Progress) -> None:
    """Write x_train, y_train, names_train, x_test, y_test and names_test of a protocol, in the manifest's order.

    x is (clips, 300, M·V·3) float32, y (clips, classes) float32 one-hot, names the clip ids. A store imported
    from a file with class numbers or without names is written back like that file.

    Raises:
        OutputError: `out` already exists or cannot be written.
        ManifestError: the manifest names a clip that the store does not have.
        StoreError: a clip does not fit the layout.
    """
    splits = {"train": store.clip_indices(manifest.train), "test": store.clip_indices(manifest.test)}
    check_exportable(store, np.concatenate(list(splits.values())))
    with atomic_file(out) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        progress.start("export", sum(len(clips) for clips in splits.values()), "clips")
        for split, clips in splits.items():
            _write_split(archive, store, split, clips, progress)


def _write_split(
    archive: zipfile.ZipFile, store: Store, split: str, clips: NDArray[np.int64], progress: Progress
) -> None:
    with archive.open(f"x_{split}.npy", "w", force_zip64=True) as member:
        _write_header(member, (len(clips), PADDED_FRAMES, padded_width(store)))
        for block in pad_clips(store, clips):
            member.write(block.data.cast("B"))
            progress.advance(len(block))
    _write_array(archive, f"y_{split}", padded_labels(store, clips))
    names = padded_names(store, clips)
    if names is not None:
        _write_array(archive, f"names_{split}", names)


def _write_header(member: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(member, header)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        npy.write_array(member, array, allow_pickle=False)
