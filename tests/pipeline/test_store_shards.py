"""Shards are the bytes zarr writes."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec

from mamp_pipeline.store.shards import encode_shard


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 11, 12])
@pytest.mark.parametrize("tail", [(5, 3), (5,)])
def test_encode_shard__the_bytes_zarr_writes(tmp_path: Path, rows: int, tail: tuple[int, ...]) -> None:
    values = np.random.default_rng(rows).normal(size=(rows, *tail)).astype(np.float32)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=values.shape,
        chunks=(4, *tail),
        shards=(12, *tail),
        dtype="float32",
        compressors=[Crc32cCodec()],
        fill_value=float("nan"),
    )
    array[...] = values
    shard = next(path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    encoded = b"".join(encode_shard(values, 12, 4))
    assert len(encoded) == shard.stat().st_size
    shard.write_bytes(encoded)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[...], values)


def test_encode_shard__a_whole_shard_byte_for_byte(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(12, 5, 3)).astype(np.float32)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=values.shape,
        chunks=(12, 5, 3),
        shards=(12, 5, 3),
        dtype="float32",
        compressors=[Crc32cCodec()],
        fill_value=float("nan"),
    )
    array[...] = values
    assert (tmp_path / "a.zarr" / "c" / "0" / "0" / "0").read_bytes() == b"".join(encode_shard(values, 12, 12))
