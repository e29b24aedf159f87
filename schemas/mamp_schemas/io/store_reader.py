"""The only reader of stores, on disk and in buckets.

`open_store` refuses whatever is not a finished store of this format. Metadata and clip columns are then in memory; rows
are read on demand. A row is one frame of one body: V joints, float32. Content is compared with the checksums of the
root object: what is missing, changed or not where it was written is an error.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from typing import Any, TypeAlias

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from mamp_schemas.errors import IncompleteStoreError, ManifestError, StoreError
from mamp_schemas.io.storage import exists, read_bytes
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_root import (
    CHECKSUM_DIGITS,
    NODE_METADATA,
    StoreRoot,
    checksum_column,
    checksum_rows,
    damaged_store_error,
    decode_root,
)
from mamp_schemas.io.zarr_store import zarr_path
from mamp_schemas.models.store import CLIP_COLUMNS, ROW_ARRAYS, StoreMetadata
from mamp_schemas.registry import DATASETS

Columns: TypeAlias = Mapping[str, NDArray[Any]]
"""Clip columns by name, each (clips, ...); see `mamp_schemas.models.store.CLIP_COLUMNS`."""

BLOCK_ROWS = 65_536
"""About how many rows `Store.blocks` reads at a time; a single clip may have more."""

BLOCK_CLIPS = 256
"""How many clips are read or padded at a time at most: padded, NTU's take 46 MB."""

READ_ERRORS = (BaseZarrError, OSError, KeyError, ValueError, RuntimeError)
"""What zarr and its codecs raise on missing, truncated and altered objects."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open, finished store.

    Attributes:
        path: its path or URL.
        root: its root object.
        ids: clip ids, sorted within each ingest: those of an append follow the others.
        columns: the clip columns, each (clips, ...); `id` as in the file, packed.
        arrays: the row arrays, read on demand.
    """

    path: StoragePath
    root: StoreRoot
    ids: list[str]
    columns: Columns
    arrays: Mapping[str, "zarr.Array[Any]"]

    @property
    def metadata(self) -> StoreMetadata:
        """The store's metadata."""
        return self.root.metadata

    def column(self, name: str) -> NDArray[np.int64]:
        """Return an integer column as int64, (clips,)."""
        return self.columns[name].astype(np.int64)

    def clip_indices(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the indices of clips, in the order of `ids`.

        Raises:
            ManifestError: a clip is not in the store.
        """
        index = {name: clip for clip, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in index]
        if missing:
            raise ManifestError(
                f"{self.path}: {len(missing)} clips of the split manifest are not in the store, the first is "
                f"{missing[0]}",
                remedy=f"Make the manifest again: mampctl build-splits --protocol NAME --store {quote(str(self.path))}",
            )
        return np.array([index[name] for name in ids], dtype=np.int64)

    @property
    def shard_rows(self) -> int:
        """Rows of a shard, the unit of reading."""
        joints = self.arrays["joints"]
        return int((joints.shards or joints.chunks)[0])

    def whole_shard_checksums(self, name: str) -> str:
        """Return the checksums of the shards of a row array that are full, as in `StoreChecksums`."""
        whole = self.metadata.counts.rows // self.shard_rows * self.shard_rows
        return self.root.checksums.rows[name][: whole // self.arrays[name].chunks[0] * CHECKSUM_DIGITS]

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows [start, stop) of a row array.

        Whole chunks are read, as checksums are of chunks; the rows returned may be a view of them.

        Raises:
            DamagedStoreError: a chunk is missing, cut short, changed or another one than was written there; names the
                array, the rows and the shard.
        """
        array = self.arrays[name]
        chunk = array.chunks[0]
        first, last = start // chunk * chunk, min(-(-stop // chunk) * chunk, array.shape[0])
        try:
            values = np.asarray(array[first:last], dtype=np.float32)
        except READ_ERRORS as problem:
            shards = " to ".join(dict.fromkeys(self._shard_name(name, row) for row in (start, stop - 1)))
            reason = f"{type(problem).__name__}: {problem}"
            raise damaged_store_error(
                self.path, f"rows {start} to {stop} of '{name}' cannot be read ({shards}): {reason}"
            ) from problem
        wrong = self._wrong_chunk(name, first // chunk, checksum_rows(values, chunk))
        if wrong is not None:
            shard, rows = self._shard_name(name, wrong * chunk), values[wrong * chunk - first :][:chunk]
            what = "was never written in full or is gone" if np.isnan(rows).all() else "is not as it was written there"
            raise damaged_store_error(self.path, f"rows {start} to {stop} of '{name}' cannot be read: {shard} {what}")
        return values[start - first : stop - first]

    def read_clip(self, clip: int, name: str = "joints") -> NDArray[np.float32]:
        """Return a clip's rows of a row array, (M, T, V) or (M, T, V, 3).

        Raises:
            DamagedStoreError: they cannot be read.
        """
        first, frames, bodies = (int(self.columns[column][clip]) for column in ("first_row", "frames", "bodies"))
        rows = self.read_rows(name, first, first + frames * bodies).copy()  # not the chunks around it
        return rows.reshape(bodies, frames, *rows.shape[1:])

    def blocks(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Yield (first clip, last clip + 1, joints rows) over all clips, about `BLOCK_ROWS` rows at a time."""
        for first, last, start, stop in self.block_bounds():
            yield first, last, self.read_rows("joints", start, stop)

    def read_clips(self, clips: NDArray[np.int64]) -> Iterator[tuple[list[int], int, NDArray[np.float32]]]:
        """Read the joints of clips in any order. Adjacent ones are read at once, `BLOCK_ROWS` rows at most.

        Args:
            clips: their indices.

        Yields:
            the indices of some of the clips, the row of the store that comes first, and the rows from it on.
        """
        first, ends = self.column("first_row"), clip_ends(self.columns)
        runs: list[list[int]] = []
        for clip in clips.tolist():
            run = runs[-1] if runs else []
            if run and clip > run[-1] and ends[clip] - first[run[0]] <= BLOCK_ROWS and len(run) < BLOCK_CLIPS:
                run.append(clip)
            else:
                runs.append([clip])
        for run in runs:
            start = int(first[run[0]])
            yield run, start, self.read_rows("joints", start, int(ends[run[-1]]))

    def block_bounds(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield (first clip, last clip + 1, first row, last row + 1) of each of the `blocks`."""
        ends = clip_ends(self.columns)
        first, clips = 0, len(self.ids)
        while first < clips:
            start = int(self.columns["first_row"][first])
            last = max(first + 1, int(np.searchsorted(ends, start + BLOCK_ROWS, side="right")))
            yield first, last, start, int(ends[last - 1])
            first = last

    def _wrong_chunk(self, name: str, first: int, found: str) -> int | None:
        """Return the first chunk whose checksum is not the root's; `found` are those from chunk `first` on."""
        written, digits = self.root.checksums.rows.get(name, ""), CHECKSUM_DIGITS
        for at in range(0, len(found), digits):
            place = first * digits + at
            if found[at : at + digits] != written[place : place + digits]:
                return place // digits
        return None

    def _shard_name(self, name: str, row: int) -> str:
        """Return the object, below the store's folder, that holds a row."""
        array = self.arrays[name]
        number = row // (array.shards or array.chunks)[0]
        return f"{name}/{array.metadata.encode_chunk_key((number, *[0] * (array.ndim - 1)))}"


def _dataset_of(path: StoragePath) -> str:
    """Return the dataset whose default store has this name; a placeholder if none has."""
    name = str(path).rpartition("/")[2].removesuffix(".zarr")
    return name if name in DATASETS.names() else "DATASET"


def open_store(path: StoragePath, *, check_columns: bool = True) -> Store:
    """Open a finished store.

    Args:
        path: its path or URL.
        check_columns: whether to check that the clip columns make sense and fit the row arrays. `verify` does not, as
            it reports every problem, not only the first.

    Raises:
        StoreError: there is nothing, no store, or one of another format version, or it may not be read.
        IncompleteStoreError: the store has no completion mark.
        DamagedStoreError: metadata, columns and arrays do not fit together.
    """
    try:
        if not exists(path):
            if exists(path.with_name(f"{path.name}.staging")):
                raise IncompleteStoreError(
                    f"{path}: there is no store yet, only the beginning of one ({path.name}.staging)",
                    remedy="Run the ingest or import that was interrupted again: the same command.",
                )
            raise StoreError(
                f"{path}: there is no store",
                remedy=f"Make one: mampctl ingest {_dataset_of(path)} --raw PATH --out {quote(str(path))}",
            )
        content = read_bytes(path / NODE_METADATA)
    except PermissionError as problem:
        raise _permission_error(path, problem) from None
    except OSError as problem:
        raise StoreError(
            f"{path}: not a store of clips ({type(problem).__name__}: {NODE_METADATA})",
            remedy="Name a folder that `mampctl ingest` has written.",
        ) from problem
    root = decode_root(content, path)
    columns = {name: _read_column(root, name, path) for name in CLIP_COLUMNS}
    arrays = {name: _open_array(root, name, path) for name in ROW_ARRAYS}
    store = Store(path, root, _read_ids(columns["id"], path), columns, arrays)
    _check_lengths(store)
    if check_columns:
        _check_clips(store)
        _check_rows(store)
    return store


def is_complete(path: StoragePath) -> bool:
    """Return whether there is a store with a completion mark at `path`.

    Raises:
        StoreError: it may not be read, is of another format version, or is something else.
        DamagedStoreError: its root object is not as it was written.
    """
    try:
        content = read_bytes(path / NODE_METADATA) if exists(path) else None
        if content is not None:
            decode_root(content, path)
    except PermissionError as problem:
        raise _permission_error(path, problem) from None
    except (OSError, IncompleteStoreError):
        return False
    return content is not None


def clip_ends(columns: Columns) -> NDArray[np.int64]:
    """Return the row after each clip's last, (clips,)."""
    rows = columns["frames"].astype(np.int64) * columns["bodies"].astype(np.int64)
    return np.asarray(columns["first_row"].astype(np.int64) + rows, dtype=np.int64)


def unpack_ids(packed: NDArray[np.uint8]) -> list[str]:
    """Return clip ids from the column `id`, (clips, width) of NUL-padded ASCII."""
    if packed.shape[0] == 0:
        return []
    names = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").ravel()
    return [name.decode("ascii") for name in names]


def _permission_error(path: StoragePath, problem: PermissionError) -> StoreError:
    return StoreError(
        f"{path}: may not be read ({problem.strerror})", remedy="Make it readable, or name another store."
    )


def _open_array(root: StoreRoot, name: str, path: StoragePath) -> "zarr.Array[Any]":
    """Open an array by the root's copy of its metadata: the array's own may be further, during an append."""
    try:
        return zarr.Array.from_dict(zarr_path(path, name), dict(root.nodes[name]))
    except READ_ERRORS as problem:
        raise damaged_store_error(path, f"array '{name}' is missing in {NODE_METADATA} or unreadable") from problem


def _read_column(root: StoreRoot, name: str, path: StoragePath) -> NDArray[Any]:
    """Return a clip column, compared with its digests."""
    array = _open_array(root, f"clips/{name}", path)
    chunk, written = array.chunks[0], root.checksums.columns.get(name, ())
    with suppress(*READ_ERRORS):
        values = np.asarray(array[...])
        if checksum_column(values, chunk) == written:
            return values
    for number in range(-(-array.shape[0] // chunk)):  # again, to find out which object it is
        place = f"clips/{name}/{array.metadata.encode_chunk_key((number, *[0] * (array.ndim - 1)))}"
        try:
            values = np.asarray(array[number * chunk : (number + 1) * chunk])
        except READ_ERRORS as problem:
            reason = f"{type(problem).__name__}: {problem}"
            raise damaged_store_error(path, f"column clips/{name} cannot be read ({place}): {reason}") from problem
        if checksum_column(values, chunk) != written[number : number + 1]:
            raise damaged_store_error(path, f"column clips/{name}: {place} is gone or not as it was written there")
    raise damaged_store_error(path, f"column clips/{name} is not as it was written")


def _read_ids(packed: NDArray[Any], path: StoragePath) -> list[str]:
    try:
        return unpack_ids(packed)
    except (UnicodeDecodeError, ValueError, IndexError) as problem:
        raise damaged_store_error(path, f"column clips/id does not hold names: {problem}") from problem


def _check_lengths(store: Store) -> None:
    clips = store.metadata.counts.clips
    wrong = [f"'{name}' has {len(column)}" for name, column in store.columns.items() if len(column) != clips]
    if wrong:
        raise damaged_store_error(store.path, f"{clips} clips, but column {', '.join(wrong)}")


def _check_clips(store: Store) -> None:
    """Refuse a clip whose numbers are impossible."""
    slots = store.metadata.dataset_spec().bodies
    first, frames, bodies, valid = (store.column(name) for name in ("first_row", "frames", "bodies", "valid_frames"))
    wrong = (first < 0) | (bodies < 1) | (bodies > slots) | (valid < 1) | (valid > frames)
    if wrong.any():
        clip = int(wrong.argmax())
        numbers = f"first row {first[clip]}, {bodies[clip]} bodies, {valid[clip]} valid of {frames[clip]} frames"
        raise damaged_store_error(store.path, f"clip {store.ids[clip]} is impossible: {numbers}")


def _check_rows(store: Store) -> None:
    """Refuse row arrays that are shorter than the columns need, or of other joints."""
    joints = len(store.metadata.skeleton.joints)
    rows = int(clip_ends(store.columns).max(initial=0))
    for name, array in store.arrays.items():
        if array.shape[0] < rows or array.shape[1] != joints:
            raise damaged_store_error(
                store.path, f"'{name}' has shape {array.shape}, the columns need {rows} rows of {joints} joints"
            )
