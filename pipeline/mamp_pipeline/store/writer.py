"""The only writer of stores: arrays first, then rows shard by shard, the metadata last.

A reader knows only what the root object says, which includes the metadata of all arrays and checksums of what they
hold. So a finished store can be extended while it is read: rows and columns beyond the old shapes are invisible until
the root is replaced.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from mamp_pipeline.store.shards import CHUNK_CLIPS, CHUNK_ROWS, SHARD_ROWS, RowRange, encode_shard
from mamp_schemas.errors import StoreError
from mamp_schemas.io.atomic import PARTIAL_SUFFIX, write_atomic
from mamp_schemas.io.storage import file_size, make_folder
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import READ_ERRORS, Columns, Store
from mamp_schemas.io.store_root import NODE_METADATA, StoreRoot, checksum_column, checksum_rows, encode_root
from mamp_schemas.io.zarr_store import zarr_store
from mamp_schemas.models.base import Model
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.store import CLIP_COLUMNS, StoreChecksums, StoreMetadata

Compression = Literal["none", "zstd"]
"""Of the row arrays. `zstd` first groups bytes: the low bytes of measured floats are noise, the high ones repeat."""


class WrittenShard(Model):
    """What was written of a shard.

    Attributes:
        files: the bytes of each object, by its path in the store.
        checksums: of the rows of each row array, as in `StoreChecksums`.
    """

    files: dict[str, int]
    checksums: dict[str, str]


def create_arrays(
    path: StoragePath,
    rows: int,
    skeleton: Skeleton,
    columns: Columns,
    compression: Compression = "none",
    keep_rows: bool = False,
) -> None:
    """Create a store's arrays without their rows, and write its clip columns.

    What is missing never reads as plausible values: the fill values are NaN and numbers that no column has. Every chunk
    has a CRC-32C.

    Args:
        path: the store.
        rows: its rows.
        skeleton: its skeleton.
        columns: its clip columns.
        compression: of the rows.
        keep_rows: whether shards that were written before stay.
    """
    if not keep_rows:
        zarr.create_group(zarr_store(path), zarr_format=3, overwrite=True)
    _write_arrays(path, _plan_nodes(rows, skeleton, columns, compression), columns, 0)


def extend_arrays(base: Store, rows: int, columns: Columns) -> None:
    """Make room in a finished store for more rows, and write the clip columns from the first changed chunk on.

    Args:
        base: the store as it is.
        rows: rows of the extended store.
        columns: clip columns of the extended store; those of the store come first.

    Raises:
        StoreError: a new clip's id is longer than the store's column of ids is wide.
    """
    width, needed = base.columns["id"].shape[1], columns["id"].shape[1]
    if width != needed:
        raise StoreError(
            f"{base.path}: the new clips need clips/id of width {needed}, it has {width}",
            remedy="Ingest all of the raw input into a new store.",
        )
    nodes = _plan_nodes(rows, base.metadata.skeleton, columns, store_compression(base))
    _write_arrays(base.path, nodes, columns, len(base.ids) // CHUNK_CLIPS * CHUNK_CLIPS)


def store_compression(store: Store) -> Compression:
    """Return the compression of a store's rows."""
    return "none" if store.arrays["joints"].compressors == (Crc32cCodec(),) else "zstd"


def write_shard(path: StoragePath, rows: RowRange, arrays: dict[str, NDArray[np.float32]]) -> WrittenShard:
    """Write one shard of every row array.

    Args:
        path: the store.
        rows: a range from `plan_shards`.
        arrays: `joints`, `motion` and `intensity` of these rows.

    Raises:
        StoreError: the range is not a whole shard, so that two tasks could write the same object.
    """
    group = _open_for_writing(path)
    written, checksums = {}, {}
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
        checksums[name] = checksum_rows(values, array.chunks[0])
    return WrittenShard(files=written, checksums=checksums)


def holds_shard(path: StoragePath, rows: RowRange, shard: WrittenShard) -> bool:
    """Return whether the rows of a shard can be read as they were written.

    Args:
        path: the store.
        rows: the shard's.
        shard: what was written.
    """
    group = _open_for_writing(path)
    for name, written in shard.checksums.items():
        array = cast("zarr.Array[Any]", group[name])
        try:
            values = np.asarray(array[rows.start : rows.stop], dtype=np.float32)
        except READ_ERRORS:
            return False
        if checksum_rows(values, array.chunks[0]) != written:
            return False
    return True


def write_metadata(
    path: StoragePath,
    metadata: StoreMetadata,
    columns: Columns,
    row_checksums: Mapping[str, str],
    compression: Compression = "none",
) -> None:
    """Write the root object in one step: from then on the store is complete.

    Args:
        path: the store.
        metadata: its metadata.
        columns: its clip columns.
        row_checksums: of all rows of each row array, as in `StoreChecksums`.
        compression: of the rows.
    """
    for left in path.rglob(f"*{PARTIAL_SUFFIX}") if isinstance(path, Path) else ():
        left.unlink()  # zarr's and ours, of processes that died
    typed = {name: columns[name].astype(dtype, copy=False) for name, dtype in CLIP_COLUMNS.items()}
    checksums = StoreChecksums(
        columns={name: checksum_column(values, CHUNK_CLIPS) for name, values in typed.items()},
        rows=dict(row_checksums),
    )
    nodes = _plan_nodes(metadata.counts.rows, metadata.skeleton, columns, compression)
    write_atomic(path / NODE_METADATA, encode_root(StoreRoot(metadata, checksums, nodes)), durable=True)


def _plan_nodes(rows: int, skeleton: Skeleton, columns: Columns, compression: Compression) -> dict[str, Any]:
    """Return the zarr metadata of every array and group of a store, by path. It depends on nothing else."""
    objects: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(objects), zarr_format=3)
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
        # A chunk has room for more clips than most stores have: an append continues in it. Empty room compresses well.
        clips.create_array(
            name,
            shape=columns[name].shape,
            dtype=dtype,
            chunks=(CHUNK_CLIPS, *columns[name].shape[1:]),
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
            fill_value=_fill_value(np.dtype(dtype)),
        )
    return {
        key.removesuffix(f"/{NODE_METADATA}"): json.loads(content.to_bytes())
        for key, content in objects.items()
        if key.endswith(f"/{NODE_METADATA}")
    }


def _fill_value(dtype: np.dtype[Any]) -> float | int:
    """Return a value that no clip has: NaN, the least of the signed integers, the greatest of the unsigned ones."""
    if dtype.kind == "f":
        return float("nan")
    return int(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max)


def _write_arrays(path: StoragePath, nodes: Mapping[str, Any], columns: Columns, first: int) -> None:
    """Write the arrays' metadata, and the columns from clip `first` on, which begins a chunk."""
    for name, node in nodes.items():
        make_folder(path / name)
        write_atomic(path / name / NODE_METADATA, json.dumps(node, indent=2).encode())
    group = _open_for_writing(path)
    for name, dtype in CLIP_COLUMNS.items():
        array = cast("zarr.Array[Any]", group[f"clips/{name}"])
        array[first:] = columns[name][first:].astype(dtype, copy=False)


def _open_for_writing(path: StoragePath) -> zarr.Group:
    """Open a store by its arrays' own metadata: the copy in the root says what readers see."""
    return zarr.open_group(zarr_store(path), mode="r+", zarr_format=3, use_consolidated=False)
