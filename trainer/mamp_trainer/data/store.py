"""A finished store, opened for reading: its clip columns in memory, its rows on demand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from mamp_schemas.errors import DamagedStoreError
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

    path: Path
    metadata: StoreMetadata
    ids: list[str]
    columns: dict[str, NDArray[np.generic]]
    arrays: dict[str, zarr.Array[Any]]

    def column(self, name: str) -> NDArray[np.int64]:
        """Return an integer column as int64, (clips,)."""
        return self.columns[name].astype(np.int64)

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Read rows `start` to `stop` of a row array.

        Raises:
            DamagedStoreError: they are missing or unreadable; names the array and the rows.
        """
        try:
            values = np.asarray(self.arrays[name][start:stop], dtype=np.float32)
        except READ_ERRORS as problem:
            raise self._unreadable(name, start, stop, f"{type(problem).__name__}: {problem}") from problem
        if np.isnan(values).any():
            raise self._unreadable(name, start, stop, "part of them was never written or is gone")
        return values

    def _unreadable(self, name: str, start: int, stop: int, problem: str) -> DamagedStoreError:
        return damaged(self.path, f"rows {start} to {stop} of '{name}' cannot be read: {problem}")


def damaged(path: Path, problem: str) -> DamagedStoreError:
    """Return the error for a store whose content is not what its metadata promises."""
    return DamagedStoreError(
        f"{path}: {problem}", remedy=f"`mampctl verify {path}` checks all of it. Remove the store and ingest again."
    )
