"""The zarr store behind a path or an object-store URL. Separate from `io.storage`: importing zarr is slow."""

import asyncio
import errno
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore, ObjectStore, StorePath

from mamp_schemas.io.regular_files import RECORD_BYTES, open_unbuffered, read_at_most, too_large
from mamp_schemas.io.storage import connect_bucket, obstore_errors
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

if TYPE_CHECKING:
    from obstore.store import S3Store

    _ObjectStore = ObjectStore[S3Store]
else:
    _ObjectStore = ObjectStore


def zarr_store(path: StoragePath, *, read_only: bool = False) -> Store:
    """Return what zarr opens the group at `path` with."""
    if is_remote(path):
        return _BucketStore(connect_bucket(path.bucket, path.key), read_only=read_only)
    return _FolderStore(path, read_only=read_only)


def zarr_path(path: StoragePath, node: str) -> StorePath:
    """Return where a store's array is, for reading it by metadata that is at hand."""
    return StorePath(zarr_store(path, read_only=True), node)


class _FolderStore(LocalStore):
    """zarr's own store of files; it opens regular files only, so that it never waits for a FIFO."""

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            content = _read_range(self.root / key, byte_range)
            return (prototype or default_buffer_prototype()).buffer.from_bytes(content)
        return None

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        reads = (self.get(key, prototype, byte_range) for key, byte_range in key_ranges)
        return list(await asyncio.gather(*reads))


def _read_range(file: Path, byte_range: ByteRequest | None) -> bytes:
    """Return the bytes of a range of a regular file, cut at its end; of all of it without a range."""
    with open_unbuffered(file) as opened:
        start, stop = 0, os.fstat(opened.fileno()).st_size
        match byte_range:
            case RangeByteRequest():
                start, stop = byte_range.start, min(byte_range.end, stop)
            case OffsetByteRequest():
                start = byte_range.offset
            case SuffixByteRequest():
                start = max(0, stop - byte_range.suffix)
        if stop - start > RECORD_BYTES:
            raise OSError(errno.EFBIG, too_large(RECORD_BYTES), str(file))
        opened.seek(start)
        return read_at_most(opened, stop - start)


class _BucketStore(_ObjectStore):
    """zarr's own store with our errors; an object is written in one request."""

    def _obstore_errors(self, key: str) -> AbstractContextManager[None]:
        return obstore_errors(ObjectUrl(self.store.config["bucket"], f"{self.store.prefix}/{key}"))

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with self._obstore_errors(key):
            return await super().get(key, prototype, byte_range)

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        with self._obstore_errors(key):
            await self.store.put_async(key, value.as_buffer_like(), use_multipart=False)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        with self._obstore_errors(key):
            await super().set_if_not_exists(key, value)

    async def exists(self, key: str) -> bool:
        with self._obstore_errors(key):
            return await super().exists(key)

    async def delete(self, key: str) -> None:
        with self._obstore_errors(key):
            await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        with self._obstore_errors(prefix):
            await super().delete_dir(prefix)
