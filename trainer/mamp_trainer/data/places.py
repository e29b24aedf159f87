"""Where a store and its manifests are read from: a folder, or a bucket through obstore."""

import os
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore

from mamp_schemas.buckets import RETRY_CONFIG, client_options, missing_obstore_error, translate_errors
from mamp_schemas.places import ObjectUrl, StoragePath

if TYPE_CHECKING:
    from obstore.store import S3Store

    _ObjectStore = ObjectStore[S3Store]
else:
    _ObjectStore = ObjectStore


def read_bytes(file: StoragePath) -> bytes:
    """Return a file's bytes.

    Raises:
        FileNotFoundError: it is not there.
        ObjectStoreError: the bucket cannot be used.
    """
    if isinstance(file, Path):
        return file.read_bytes()
    with _object_store_errors(file):
        return _connect_bucket(file.bucket, file.parent.key).get(file.name).bytes().to_bytes()


def exists(place: StoragePath) -> bool:
    """Tell whether anything stands at the place; zarr would not tell a bucket that is not there from an empty one.

    Raises:
        ObjectStoreError: the bucket cannot be used.
    """
    if isinstance(place, Path):
        return place.exists()
    with _object_store_errors(place):
        return any(_connect_bucket(place.bucket, place.key).list(chunk_size=1))


def open_group(place: StoragePath) -> zarr.Group:
    """Open a zarr group for reading."""
    if isinstance(place, Path):
        return zarr.open_group(place, mode="r")
    return zarr.open_group(_BucketStore(_connect_bucket(place.bucket, place.key), read_only=True), mode="r")


@cache
def _connect_bucket(bucket: str, prefix: str) -> "S3Store":
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise missing_obstore_error(ObjectUrl(bucket, prefix)) from None
    options = client_options(os.environ)
    return S3Store(bucket, prefix=prefix or None, client_options=options, retry_config=RETRY_CONFIG)


def _object_store_errors(url: ObjectUrl) -> AbstractContextManager[None]:
    try:
        from obstore.exceptions import BaseError
    except ModuleNotFoundError:
        raise missing_obstore_error(url) from None
    return translate_errors(url, BaseError)


class _BucketStore(_ObjectStore):
    """zarr's own, for reading, whose refusals are errors of ours."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with _object_store_errors(ObjectUrl(self.store.config["bucket"], f"{self.store.prefix}/{key}")):
            return await super().get(key, prototype, byte_range)
