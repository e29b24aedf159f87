"""An uncompressed shard's bytes, as zarr v3's `sharding_indexed` has them: chunks, then the index, each with a CRC.

The same bytes as zarr writes; zarr's own way there makes four copies of them, which takes longer than parsing.
"""

from collections.abc import Iterator

import google_crc32c
import numpy as np
from numpy.typing import NDArray

_ABSENT = np.iinfo(np.uint64).max


def encode_shard(values: NDArray[np.float32], shard_rows: int, chunk_rows: int) -> Iterator[memoryview]:
    """Yield a shard's bytes: whole chunks of rows, the last one filled up with NaN, and the index.

    Args:
        values: (R, ...) rows from the shard's first on, R ≤ `shard_rows`; one chunk spans the other axes.
        shard_rows: rows of a shard.
        chunk_rows: rows of a chunk.
    """
    index = np.full((shard_rows // chunk_rows, 2), _ABSENT, dtype="<u8")
    place = 0
    for number, start in enumerate(range(0, len(values), chunk_rows)):
        chunk = _little_endian_bytes(_pad_with_nan(values[start : start + chunk_rows], chunk_rows))
        yield chunk.data
        yield _checksum(chunk).data
        index[number] = place, len(chunk) + 4
        place += len(chunk) + 4
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
