"""A finished store, opened for reading: its clip columns in memory, its rows on demand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from mamp_schemas.errors import DamagedStoreError
from mamp_schemas.places import StoragePath
from mamp_schemas.store import StoreMetadata

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
            raise self._unreadable_error(name, start, stop, f"{self._shard_name(name, lost)} was never written in full or is gone")
        return values

    def _unreadable_error(self, name: str, start: int, stop: int, problem: str) -> DamagedStoreError:
        shards = " to ".join(dict.fromkeys(self._shard_name(name, row) for row in (start, stop - 1)))
        return damaged_store_error(self.path, f"rows {start} to {stop} of '{name}' cannot be read ({shards}): {problem}")

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
