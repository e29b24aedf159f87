"""The plan of a store's arrays: shapes, chunks, shards, and which rows each shard holds. No input or output."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 2_048
SHARD_ROWS = 32 * CHUNK_ROWS
"""65,536 rows: 20 MB of joints for 25 joints, some 600 clips; 180 shards an array for NTU-120."""

CHUNK_CLIPS = 16_384
"""Clips a chunk of the clip columns."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows [start, stop) of a store."""

    start: int
    stop: int


def plan_shards(rows: int) -> Iterator[RowRange]:
    """Divide the rows into whole shards: no shard is ever written by two tasks."""
    for start in range(0, rows, SHARD_ROWS):
        yield RowRange(start, min(start + SHARD_ROWS, rows))


def first_rows(frames: NDArray[np.integer], bodies: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the first row of each clip: clips follow each other, body after body within a clip."""
    rows = frames.astype(np.int64) * bodies.astype(np.int64)
    return np.asarray(np.cumsum(rows) - rows, dtype=np.int64)


def pack_ids(ids: list[str]) -> NDArray[np.uint8]:
    """Return clip ids as a (clips, width) matrix of NUL-padded ASCII."""
    width = max((len(name) for name in ids), default=1)
    return np.array([name.encode("ascii") for name in ids], dtype=f"S{width}").view(np.uint8).reshape(-1, width)


def unpack_ids(packed: NDArray[np.uint8]) -> list[str]:
    """Return clip ids from `pack_ids`' matrix."""
    if packed.shape[0] == 0:
        return []
    names = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").ravel()
    return [name.decode("ascii") for name in names]
