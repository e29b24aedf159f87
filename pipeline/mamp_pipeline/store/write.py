"""The only writer of stores: arrays created whole, rows written shard by shard, metadata last."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from mamp_pipeline.store.layout import CHUNK_ROWS, SHARD_ROWS, Columns, RowRange
from mamp_schemas.errors import StoreError
from mamp_schemas.skeleton import Skeleton
from mamp_schemas.store import CLIP_COLUMNS, StoreMetadata


def create_arrays(path: Path, rows: int, skeleton: Skeleton, columns: Columns) -> None:
    """Create a store's arrays without their rows, and write its clip columns.

    A missing shard reads as NaN, never as plausible zeros; every chunk carries a CRC-32C.
    """
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    joints = len(skeleton.joints)
    for name, tail in {"joints": (joints, 3), "motion": (joints, 3), "intensity": (joints,)}.items():
        group.create_array(
            name,
            shape=(rows, *tail),
            chunks=(CHUNK_ROWS, *tail),
            shards=(SHARD_ROWS, *tail),
            dtype="float32",
            compressors=[Crc32cCodec()],
            fill_value=float("nan"),
            dimension_names=("row", "joint", "coordinate")[: 1 + len(tail)],
        )
    clips = group.create_group("clips")
    for name, dtype in CLIP_COLUMNS.items():
        clips.create_array(name, data=columns[name].astype(dtype, copy=False), compressors=[Crc32cCodec()])


def write_shard(path: Path, rows: RowRange, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Write one shard of every row array.

    Args:
        path: the store.
        rows: a range from `plan_shards`.
        arrays: `joints`, `motion` and `intensity` of these rows.

    Raises:
        StoreError: the range is not a whole shard, so that two tasks could write the same object.
    """
    group = zarr.open_group(path, mode="r+")
    for name, values in arrays.items():
        array = cast("zarr.Array[Any]", group[name])
        if rows.start % SHARD_ROWS or (rows.stop % SHARD_ROWS and rows.stop != array.shape[0]):
            raise StoreError(
                f"{path}: rows {rows.start}..{rows.stop} of '{name}' are not whole shards of {SHARD_ROWS} rows; "
                "two tasks writing one shard would lose each other's rows"
            )
        array[rows.start : rows.stop] = values


def write_metadata(path: Path, metadata: StoreMetadata) -> None:
    """Write the root attributes in one atomic step: from here on the store is complete."""
    zarr.open_group(path, mode="r+").attrs.put(metadata.model_dump(mode="json"))
