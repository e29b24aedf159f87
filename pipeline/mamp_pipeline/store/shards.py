"""How rows and clips are laid out in a store's arrays: chunks, shards, their rows and their bytes. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import row_arrays
from mamp_schemas.models.store import MotionSpec

CHUNK_ROWS = 2_048
SHARD_ROWS = 32 * CHUNK_ROWS
"""65,536 rows: 20 MB for 25 joints, about 600 clips; NTU-120 has 180 shards an array."""

CHUNK_CLIPS = 16_384
"""Clips in a chunk of the clip columns."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows [start, stop) of a store."""

    start: int
    stop: int


def plan_shards(rows: int) -> Iterator[RowRange]:
    """Yield the rows of each shard, so that no shard is written by two tasks."""
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


_ABSENT = np.iinfo(np.uint64).max


def encode_shard(values: NDArray[np.float32], shard_rows: int, chunk_rows: int) -> Iterator[memoryview]:
    """Yield a shard's bytes as zarr's sharding codec writes them: chunks, the last one filled up with NaN, and index.

    Args:
        values: (R, ...) the shard's rows, R ≤ `shard_rows`; a chunk spans the other axes.
        shard_rows: rows of a shard.
        chunk_rows: rows of a chunk.
    """
    index = np.full((shard_rows // chunk_rows, 2), _ABSENT, dtype="<u8")
    offset = 0
    for number, start in enumerate(range(0, len(values), chunk_rows)):
        chunk = _little_endian_bytes(_pad_with_nan(values[start : start + chunk_rows], chunk_rows))
        yield chunk.data
        yield _checksum(chunk).data
        index[number] = offset, len(chunk) + 4
        offset += len(chunk) + 4
    yield _little_endian_bytes(index).data
    yield _checksum(_little_endian_bytes(index)).data


def _pad_with_nan(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if len(rows) == count:
        return rows
    filled = np.full((count, *rows.shape[1:]), np.nan, dtype=np.float32)
    filled[: len(rows)] = rows
    return filled


def _little_endian_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8)


def _checksum(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _little_endian_bytes(np.array([google_crc32c.value(data)], dtype="<u4"))


@dataclass(frozen=True, slots=True)
class WholeClips:
    """Whole consecutive clips.

    Attributes:
        joints: (rows, V, 3).
        first: the row in the store of the first clip.
        frames, bodies: (clips,).
    """

    joints: NDArray[np.float32]
    first: int
    frames: NDArray[np.integer]
    bodies: NDArray[np.integer]


def clips_in_range(starts: NDArray[np.integer], stops: NDArray[np.integer], rows: RowRange) -> slice:
    """Return which clips have rows in a range.

    Args:
        starts: (clips,) first row of each clip, ascending.
        stops: (clips,) row after each clip's last.
        rows: the range.
    """
    first = int(np.searchsorted(stops, rows.start, side="right"))
    return slice(first, int(np.searchsorted(starts, rows.stop, side="left")))


def pack_rows(runs: Sequence[WholeClips], rows: RowRange, motion: MotionSpec) -> dict[str, NDArray[np.float32]]:
    """Return the row arrays of a range of the store: joints, motion and intensity.

    Args:
        runs: every clip that has rows in the range, whole, because motion and intensity need whole clips; each run
            begins where the one before ends.
        rows: the range.
        motion: how motion and intensity are computed.
    """
    joints = np.concatenate([run.joints for run in runs])
    frames, bodies = np.concatenate([run.frames for run in runs]), np.concatenate([run.bodies for run in runs])
    inside = slice(rows.start - runs[0].first, rows.stop - runs[0].first)
    return {name: values[inside] for name, values in row_arrays(joints, frames, bodies, motion).items()}
