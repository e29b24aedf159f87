"""The zarr store behind a path or an object-store URL. Separate from `io.storage`: importing zarr is slow."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, ObjectStore, StorePath

from mamp_schemas.io.storage import connect_bucket, obstore_errors
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

if TYPE_CHECKING:
    from obstore.store import S3Store

    _ObjectStore = ObjectStore[S3Store]
else:
    _ObjectStore = ObjectStore


def zarr_store(path: StoragePath, *, read_only: bool = False) -> Path | Store:
    """Return what zarr opens the group at `path` with."""
    if is_remote(path):
        return _BucketStore(connect_bucket(path.bucket, path.key), read_only=read_only)
    return path


def zarr_path(path: StoragePath, node: str) -> StorePath:
    """Return where a store's array is, for reading it by metadata that is at hand."""
    store = zarr_store(path, read_only=True)
    return StorePath(LocalStore(store, read_only=True) if isinstance(store, Path) else store, node)


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
