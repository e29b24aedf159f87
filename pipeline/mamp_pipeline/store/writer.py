"""The only writer of stores: arrays first, then rows shard by shard, the metadata last.

A reader knows only what the root object says, which includes the shapes of all arrays. So a finished store can be
extended while it is read: rows and columns beyond the old shapes are invisible until the root is replaced.
"""

import json
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from mamp_pipeline.store.shards import CHUNK_CLIPS, CHUNK_ROWS, SHARD_ROWS, RowRange, encode_shard
from mamp_schemas.errors import StoreError
from mamp_schemas.io.atomic import PARTIAL_SUFFIX, write_atomic
from mamp_schemas.io.storage import file_size, make_folder, read_bytes
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Columns
from mamp_schemas.io.zarr_store import zarr_store
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.store import CLIP_COLUMNS, ROW_ARRAYS, StoreMetadata

Compression = Literal["none", "zstd"]
"""Of the row arrays. `zstd` first groups bytes: the low bytes of measured floats are noise, the high ones repeat."""

_NODE_METADATA = "zarr.json"


def create_arrays(
    path: StoragePath, rows: int, skeleton: Skeleton, columns: Columns, compression: Compression = "none"
) -> None:
    """Create a store's arrays without their rows, and write its clip columns.

    A missing shard reads as NaN, never as plausible zeros. Every chunk has a CRC-32C.
    """
    group = zarr.create_group(zarr_store(path), zarr_format=3, overwrite=True)
    packing = [BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4)] if compression == "zstd" else []
    joints = len(skeleton.joints)
    for name, tail in {"joints": (joints, 3), "motion": (joints, 3), "intensity": (joints,)}.items():
        group.create_array(
            name,
            shape=(rows, *tail),
            chunks=(CHUNK_ROWS, *tail),
            shards=(SHARD_ROWS, *tail),
            dtype="float32",
            compressors=[*packing, Crc32cCodec()],
            fill_value=float("nan"),
            dimension_names=("row", "joint", "coordinate")[: 1 + len(tail)],
        )
    clips = group.create_group("clips")
    for name, dtype in CLIP_COLUMNS.items():
        column = columns[name].astype(dtype, copy=False)
        # A chunk has room for more clips than most stores have: an append continues in it. Empty room compresses well.
        clips.create_array(
            name,
            data=column,
            chunks=(CHUNK_CLIPS, *column.shape[1:]),
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
        )


def extend_arrays(path: StoragePath, rows: int, columns: Columns, clips: int) -> None:
    """Make room in a finished store for more rows, and write the clip columns from clip `clips` on.

    Args:
        path: the store.
        rows: rows of the extended store.
        columns: clip columns of the extended store; unchanged up to `clips`.
        clips: clips of the store before.

    Raises:
        StoreError: a new clip's id is longer than the store's column of ids is wide.
    """
    group = _open_for_writing(path)
    for name in ROW_ARRAYS:
        array = cast("zarr.Array[Any]", group[name])
        array.resize((rows, *array.shape[1:]))
    for name, dtype in CLIP_COLUMNS.items():
        array, column = cast("zarr.Array[Any]", group[f"clips/{name}"]), columns[name]
        if column.shape[1:] != array.shape[1:]:
            raise StoreError(
                f"{path}: the new clips need clips/{name} of width {column.shape[1:]}, it has {array.shape[1:]}",
                remedy="Ingest all of the raw input into a new store.",
            )
        array.resize(column.shape)
        array[clips:] = column[clips:].astype(dtype, copy=False)


def write_shard(path: StoragePath, rows: RowRange, arrays: dict[str, NDArray[np.float32]]) -> dict[str, int]:
    """Write one shard of every row array.

    Args:
        path: the store.
        rows: a range from `plan_shards`.
        arrays: `joints`, `motion` and `intensity` of these rows.

    Returns:
        The bytes of each object written, by its path in the store.

    Raises:
        StoreError: the range is not a whole shard, so that two tasks could write the same object.
    """
    group, written = _open_for_writing(path), {}
    for name, values in arrays.items():
        array = cast("zarr.Array[Any]", group[name])
        shard = (array.shards or array.chunks)[0]
        if rows.start % shard or (rows.stop % shard and rows.stop != array.shape[0]):
            raise StoreError(
                f"{path}: rows {rows.start}..{rows.stop} of '{name}' are not whole shards of {shard} rows; "
                "two tasks writing one shard would lose each other's rows"
            )
        chunk = (rows.start // shard, *(0 for _ in array.shape[1:]))
        key = f"{name}/{array.metadata.encode_chunk_key(chunk)}"
        if array.compressors == (Crc32cCodec(),):
            make_folder((path / key).parent)
            written[key] = write_atomic(path / key, *encode_shard(values, shard, array.chunks[0]))
        else:
            array[rows.start : rows.stop] = values
            written[key] = file_size(path / key)
    return written


def write_metadata(path: StoragePath, metadata: StoreMetadata) -> None:
    """Write the root object, attributes and shapes of all arrays, in one step: from then on the store is complete."""
    for left in path.rglob(f"*{PARTIAL_SUFFIX}") if isinstance(path, Path) else ():
        left.unlink()  # zarr's and ours, of processes that died
    nodes = sorted([*ROW_ARRAYS, "clips", *(f"clips/{name}" for name in CLIP_COLUMNS)])
    children = {node: json.loads(read_bytes(path / node / _NODE_METADATA)) for node in nodes}
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": metadata.model_dump(mode="json"),
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": children},
    }
    write_atomic(path / _NODE_METADATA, json.dumps(root).encode(), durable=True)


def _open_for_writing(path: StoragePath) -> zarr.Group:
    """Open a store by its arrays' own metadata: the copy in the root says what readers see."""
    return zarr.open_group(zarr_store(path), mode="r+", zarr_format=3, use_consolidated=False)
