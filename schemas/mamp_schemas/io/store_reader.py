"""Open a finished store for reading. Metadata and clip columns are held in memory, rows are read on demand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from mamp_schemas.errors import DamagedStoreError, IncompleteStoreError, StoreError
from mamp_schemas.io.storage import exists
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.zarr_store import zarr_store
from mamp_schemas.models.base import canonical_json, parse_model_json
from mamp_schemas.models.store import CLIP_COLUMNS, ROW_ARRAYS, StoreMetadata

Columns = Mapping[str, NDArray[Any]]


def unpack_ids(packed: NDArray[np.uint8]) -> list[str]:
    """Return clip ids from `pack_ids`' matrix."""
    if packed.shape[0] == 0:
        return []
    names = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").ravel()
    return [name.decode("ascii") for name in names]


BLOCK_ROWS = 65_536

READ_ERRORS = (BaseZarrError, OSError, KeyError, ValueError, RuntimeError)
"""What zarr and its codecs raise on missing, truncated and altered objects."""


@dataclass(frozen=True)
class Store:
    """An open, finished store.

    Attributes:
        path: where it is.
        metadata: its root attributes.
        ids: clip ids, sorted within each ingest: those of an append follow the others.
        columns: the clip columns, each (clips, ...).
    """

    path: StoragePath
    metadata: StoreMetadata
    ids: list[str]
    columns: Columns
    group: zarr.Group

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows [start, stop) of a row array.

        Raises:
            DamagedStoreError: a chunk is missing, cut short or does not match its checksum.
        """
        array = cast("zarr.Array[Any]", self.group[name])
        try:
            values = np.asarray(array[start:stop], dtype=np.float32)
        except READ_ERRORS as problem:
            raise self._damaged(name, start, stop, str(problem)) from problem
        if np.isnan(values).any():
            raise self._damaged(name, start, stop, "rows are missing")
        return values

    def blocks(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Yield (first clip, last clip + 1, joints rows) over all clips, some 65,536 rows at a time."""
        ends = clip_ends(self.columns)
        first, clips = 0, len(self.ids)
        while first < clips:
            start = int(self.columns["first_row"][first])
            last = max(first + 1, int(np.searchsorted(ends, start + BLOCK_ROWS, side="right")))
            yield first, last, self.read_rows("joints", start, int(ends[last - 1]))
            first = last

    def _damaged(self, name: str, start: int, stop: int, problem: str) -> DamagedStoreError:
        return DamagedStoreError(
            f"{self.path}: rows {start}..{stop} of '{name}' cannot be read: {problem}",
            remedy="Remove the store and ingest again.",
        )


def clip_ends(columns: Columns) -> NDArray[np.int64]:
    """Return the row after each clip's last."""
    rows = columns["frames"].astype(np.int64) * columns["bodies"].astype(np.int64)
    return np.asarray(columns["first_row"].astype(np.int64) + rows, dtype=np.int64)


def is_complete(path: StoragePath) -> bool:
    """Tell whether a store with a completion mark stands at `path`.

    Raises:
        StoreError: what stands there may not be read.
    """
    try:
        return exists(path) and bool(zarr.open_group(zarr_store(path), mode="r").attrs.get("complete"))
    except PermissionError as problem:
        raise _permission_error(path, problem) from None
    except READ_ERRORS:
        return False


def _permission_error(path: StoragePath, problem: PermissionError) -> StoreError:
    return StoreError(
        f"{path}: may not be read ({problem.strerror})", remedy="Make it readable, or name another store."
    )


def open_store(path: StoragePath) -> Store:
    """Open a finished store.

    Raises:
        StoreError: nothing is there, or not a store of this format.
        IncompleteStoreError: the store has no completion mark.
        DamagedStoreError: metadata or columns do not fit together.
    """
    try:
        if not exists(path):
            raise StoreError(f"{path}: no store there", remedy="Make one with: mampctl ingest DATASET --raw PATH")
        group = zarr.open_group(zarr_store(path), mode="r")
    except PermissionError as problem:
        raise _permission_error(path, problem) from None
    except READ_ERRORS as problem:
        raise StoreError(
            f"{path}: not a zarr store ({type(problem).__name__})", remedy="Name a folder made by mampctl ingest."
        ) from problem
    attributes = group.attrs.asdict()
    if not attributes.get("complete"):
        raise IncompleteStoreError(
            f"{path}: the store has no completion mark, its ingest or import did not finish",
            remedy="Run the same mampctl ingest command again, it goes on where it stopped; or the same import.",
        )
    metadata = parse_model_json(StoreMetadata, canonical_json(attributes), str(path), StoreError)
    columns = _read_columns(path, group)
    if len(columns["id"]) != metadata.counts.clips:
        raise DamagedStoreError(
            f"{path}: {len(columns['id'])} clips in the columns, {metadata.counts.clips} in the metadata",
            remedy="Remove the store and ingest again.",
        )
    return Store(path, metadata, unpack_ids(columns["id"]), columns, group)


def _read_columns(path: StoragePath, group: zarr.Group) -> Columns:
    columns = {}
    for name in CLIP_COLUMNS:
        try:
            columns[name] = np.asarray(cast("zarr.Array[Any]", group[f"clips/{name}"])[...])
        except READ_ERRORS as problem:
            raise DamagedStoreError(
                f"{path}: column clips/{name} cannot be read: {problem}",
                remedy="Remove the store and ingest again.",
            ) from problem
    return columns


def row_array_shapes(store: Store) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the row arrays.

    Raises:
        DamagedStoreError: one is missing.
    """
    try:
        return {name: cast("zarr.Array[Any]", store.group[name]).shape for name in ROW_ARRAYS}
    except KeyError as problem:
        raise DamagedStoreError(
            f"{store.path}: array {problem} is missing", remedy="Remove the store and ingest again."
        ) from problem
