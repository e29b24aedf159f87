"""Opening a finished store for reading, and refusing whatever is not one."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from mamp_schemas.base import canonical_json, parse_model_json
from mamp_schemas.errors import IncompleteStoreError, StoreError
from mamp_schemas.places import StoragePath
from mamp_schemas.store import CLIP_COLUMNS, FORMAT_VERSION, ROW_ARRAYS, StoreMetadata
from mamp_trainer.data.places import exists, open_group
from mamp_trainer.data.store import READ_ERRORS, Store, damaged_store_error


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
