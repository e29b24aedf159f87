"""Opens a finished store for reading, from a folder or a bucket, and refuses whatever is not one."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.errors import BaseZarrError
from zarr.storage import ObjectStore

from mamp_schemas.errors import DamagedStoreError, IncompleteStoreError, StoreError
from mamp_schemas.io.object_store_errors import RETRY_CONFIG, client_options, missing_obstore_error, translate_errors
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath
from mamp_schemas.models.base import canonical_json, parse_model_json
from mamp_schemas.models.store import CLIP_COLUMNS, FORMAT_VERSION, ROW_ARRAYS, StoreMetadata

if TYPE_CHECKING:
    from obstore.store import S3Store

    _ObjectStore = ObjectStore[S3Store]
else:
    _ObjectStore = ObjectStore


def read_bytes(file: StoragePath) -> bytes:
    """Return a file's bytes.

    Raises:
        FileNotFoundError: it is not there.
        ObjectStoreError: the bucket cannot be used.
    """
    if isinstance(file, Path):
        return file.read_bytes()
    with _object_store_errors(file):
        return _connect_bucket(file.bucket, file.parent.key).get(file.name).bytes().to_bytes()


def exists(place: StoragePath) -> bool:
    """Tell whether anything stands at the place; zarr would not tell a bucket that is not there from an empty one.

    Raises:
        ObjectStoreError: the bucket cannot be used.
    """
    if isinstance(place, Path):
        return place.exists()
    with _object_store_errors(place):
        return any(_connect_bucket(place.bucket, place.key).list(chunk_size=1))


def open_group(place: StoragePath) -> zarr.Group:
    """Open a zarr group for reading."""
    if isinstance(place, Path):
        return zarr.open_group(place, mode="r")
    return zarr.open_group(_BucketStore(_connect_bucket(place.bucket, place.key), read_only=True), mode="r")


@cache
def _connect_bucket(bucket: str, prefix: str) -> "S3Store":
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise missing_obstore_error(ObjectUrl(bucket, prefix)) from None
    options = client_options(os.environ)
    return S3Store(bucket, prefix=prefix or None, client_options=options, retry_config=RETRY_CONFIG)


def _object_store_errors(url: ObjectUrl) -> AbstractContextManager[None]:
    try:
        from obstore.exceptions import BaseError
    except ModuleNotFoundError:
        raise missing_obstore_error(url) from None
    return translate_errors(url, BaseError)


class _BucketStore(_ObjectStore):
    """zarr's own, for reading, whose refusals are errors of ours."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with _object_store_errors(ObjectUrl(self.store.config["bucket"], f"{self.store.prefix}/{key}")):
            return await super().get(key, prototype, byte_range)


READ_ERRORS = (BaseZarrError, OSError, KeyError, ValueError, RuntimeError)
"""What zarr and its codecs raise on missing, truncated and altered objects."""


@dataclass(frozen=True, slots=True)
class Store:
    """A finished store, opened for reading.

    Attributes:
        path: where it is.
        metadata: its root attributes.
        ids: clip ids, sorted; a clip's place among them is its index everywhere else.
        columns: the other columns of `clips/`, each (clips, ...).
        arrays: the row arrays, read only when asked for.
    """

    path: StoragePath
    metadata: StoreMetadata
    ids: list[str]
    columns: dict[str, NDArray[np.generic]]
    arrays: dict[str, zarr.Array[Any]]

    def column(self, name: str) -> NDArray[np.int64]:
        """Return an integer column as int64, (clips,)."""
        return self.columns[name].astype(np.int64)

    @property
    def shard_rows(self) -> int:
        """Rows of a shard, the unit of reading."""
        joints = self.arrays["joints"]
        return int((joints.shards or joints.chunks)[0])

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Read rows `start` to `stop` of a row array.

        Raises:
            DamagedStoreError: they are missing or unreadable; names the array, the rows and their shards.
        """
        try:
            values = np.asarray(self.arrays[name][start:stop], dtype=np.float32)
        except READ_ERRORS as problem:
            raise self._unreadable_error(name, start, stop, f"{type(problem).__name__}: {problem}") from problem
        if np.isnan(values.min(initial=0)):
            lost = start + int(np.isnan(values).any(axis=tuple(range(1, values.ndim))).argmax())
            raise self._unreadable_error(
                name, start, stop, f"{self._shard_name(name, lost)} was never written in full or is gone"
            )
        return values

    def _unreadable_error(self, name: str, start: int, stop: int, problem: str) -> DamagedStoreError:
        shards = " to ".join(dict.fromkeys(self._shard_name(name, row) for row in (start, stop - 1)))
        return damaged_store_error(
            self.path, f"rows {start} to {stop} of '{name}' cannot be read ({shards}): {problem}"
        )

    def _shard_name(self, name: str, row: int) -> str:
        """Return the object, below the store's folder, that holds a row."""
        array = self.arrays[name]
        number = row // (array.shards or array.chunks)[0]
        return f"{name}/{array.metadata.encode_chunk_key((number, *[0] * (array.ndim - 1)))}"


def damaged_store_error(path: StoragePath, problem: str) -> DamagedStoreError:
    """Return the error for a store whose content is not what its metadata promises."""
    return DamagedStoreError(
        f"{path}: {problem}", remedy=f"`mampctl verify {path}` checks all of it. Remove the store and ingest again."
    )


def open_store(path: StoragePath) -> Store:
    """Open a store.

    Raises:
        StoreError: there is nothing, no store, or one of another format version.
        IncompleteStoreError: its ingest did not finish.
        DamagedStoreError: its arrays and columns do not agree.
    """
    try:
        if not exists(path):
            raise StoreError(
                f"{path}: there is no store", remedy=f"Make one: mampctl ingest DATASET --raw PATH --out {path}"
            )
        group = open_group(path)
    except READ_ERRORS as problem:
        raise StoreError(
            f"{path}: not a store of clips ({type(problem).__name__})",
            remedy="Name a folder that `mampctl ingest` has written.",
        ) from problem
    metadata = _read_metadata(group, path)
    columns = {name: _read_column(group, name, path) for name in CLIP_COLUMNS}
    ids = _unpack_ids(columns.pop("id"))
    store = Store(path, metadata, ids, columns, {name: _open_array(group, name, path) for name in ROW_ARRAYS})
    _check_columns(store)
    _check_rows(store)
    return store


def _read_metadata(group: zarr.Group, path: StoragePath) -> StoreMetadata:
    attributes = dict(group.attrs)
    if attributes.get("complete") is not True:
        raise IncompleteStoreError(
            f"{path}: the store has no completion mark: its ingest did not finish",
            remedy="Run the same `mampctl ingest` command again; it goes on where it stopped.",
        )
    version = attributes.get("format_version")
    if version != FORMAT_VERSION:
        raise StoreError(
            f"{path}: the store has format version {version!r}, this mampctl reads version {FORMAT_VERSION}",
            remedy="Use the mampctl that made the store, or ingest again.",
        )
    return parse_model_json(StoreMetadata, canonical_json(attributes), str(path), StoreError)


def _open_array(group: zarr.Group, name: str, path: StoragePath) -> zarr.Array[Any]:
    try:
        array = group[name]
    except READ_ERRORS:
        array = None
    if not isinstance(array, zarr.Array):
        raise damaged_store_error(path, f"array '{name}' is missing or unreadable")
    return array


def _read_column(group: zarr.Group, name: str, path: StoragePath) -> NDArray[np.generic]:
    array = _open_array(group, f"clips/{name}", path)
    try:
        return np.asarray(array[...])
    except READ_ERRORS as problem:
        raise damaged_store_error(path, f"column '{name}' cannot be read: {problem}") from problem


def _unpack_ids(packed: NDArray[np.generic]) -> list[str]:
    return [bytes(row).rstrip(b"\0").decode("ascii", errors="replace") for row in packed]


def _check_columns(store: Store) -> None:
    clips, slots = store.metadata.counts.clips, store.metadata.dataset_spec().bodies
    lengths = {"id": len(store.ids)} | {name: len(column) for name, column in store.columns.items()}
    short = [f"'{name}' has {length}" for name, length in lengths.items() if length != clips]
    if short:
        raise damaged_store_error(store.path, f"{clips} clips, but column {', '.join(short)}")
    first, frames, bodies, valid = (store.column(name) for name in ("first_row", "frames", "bodies", "valid_frames"))
    wrong = (first < 0) | (bodies < 1) | (bodies > slots) | (valid < 1) | (valid > frames)
    if wrong.any():
        at = int(wrong.argmax())
        facts = f"first row {first[at]}, {bodies[at]} bodies, {valid[at]} valid of {frames[at]} frames"
        raise damaged_store_error(store.path, f"clip {store.ids[at]} cannot be: {facts}")


def _check_rows(store: Store) -> None:
    joints = len(store.metadata.skeleton.joints)
    first, frames, bodies = (store.column(name) for name in ("first_row", "frames", "bodies"))
    rows = int((first + frames * bodies).max(initial=0))
    for name, array in store.arrays.items():
        if array.shape[0] < rows or array.shape[1] != joints:
            raise damaged_store_error(
                store.path, f"'{name}' has shape {array.shape}, the columns need {rows} rows of {joints} joints"
            )
