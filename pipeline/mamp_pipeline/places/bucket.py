"""Objects in buckets, through obstore.

Endpoint, region and credentials come from the AWS_* environment of this process, and go nowhere from here.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mamp_schemas.buckets import RETRY_CONFIG, client_options, missing_obstore_error, translate_errors
from mamp_schemas.places import ObjectUrl

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Store

_LIST_PAGE = 1_000
"""Objects an answer to a listing has."""

_COALESCE_BYTES = 2**18
"""Bytes between two ranges that are worth fetching to save a request."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of a listing.

    Attributes:
        name: its path in the folder listed.
        size: bytes.
        changed: 64 bits that differ when it is written anew with other bytes: of its ETag.
    """

    name: str
    size: int
    etag_hash: int


@cache
def connect_bucket(bucket: str, prefix: str | None = None) -> "S3Store":
    """Return the client of a bucket, or of the folder of a prefix in it; each holds its connections."""
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise missing_obstore_error(ObjectUrl(bucket, prefix or "")) from None
    options = client_options(os.environ)
    return S3Store(bucket, prefix=prefix, client_options=options, retry_config=RETRY_CONFIG)


def obstore_errors(url: ObjectUrl) -> AbstractContextManager[None]:
    """Turn what obstore raises inside into errors of ours; see `refusals`."""
    try:
        from obstore.exceptions import BaseError
    except ModuleNotFoundError:
        raise missing_obstore_error(url) from None
    return translate_errors(url, BaseError)


def read_object(url: ObjectUrl) -> bytes:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: it is not there.
        ObjectStoreError: the bucket cannot be used.
    """
    with obstore_errors(url):
        return connect_bucket(url.bucket).get(url.key).bytes().to_bytes()


def read_object_range(url: ObjectUrl, start: int, stop: int) -> tuple[bytes, int]:
    """Return bytes [start, stop) of an object, as far as it goes, and its size.

    Args:
        url: the object.
        start: before its end.
        stop: behind `start`.
    """
    with obstore_errors(url):
        result = connect_bucket(url.bucket).get(url.key, options={"range": (start, stop)})
        return result.bytes().to_bytes(), result.meta["size"]


def read_object_ranges(url: ObjectUrl, starts: Sequence[int], stops: Sequence[int]) -> list[memoryview]:
    """Return several ranges of an object, each as far as it goes; near ones come in one request."""
    with obstore_errors(url):
        found = connect_bucket(url.bucket).get_ranges(url.key, starts=starts, ends=stops, coalesce=_COALESCE_BYTES)
        return [memoryview(data) for data in found]


def write_object(url: ObjectUrl, data: bytes) -> None:
    """Write an object in one request: no part of an upload that was given up stays in the bucket."""
    with obstore_errors(url):
        connect_bucket(url.bucket).put(url.key, data, use_multipart=False)


def head_object(url: ObjectUrl) -> ObjectInfo | None:
    """Return what is known of an object; None where it is not there."""
    if not url.key:
        return None
    try:
        with obstore_errors(url):
            return _object_info(connect_bucket(url.bucket).head(url.key), url.name)
    except FileNotFoundError:
        return None


def object_size(url: ObjectUrl) -> int:
    """Return an object's bytes.

    Raises:
        FileNotFoundError: it is not there.
    """
    with obstore_errors(url):
        return connect_bucket(url.bucket).head(url.key)["size"]


def list_objects(folder: ObjectUrl) -> Iterator[ObjectInfo]:
    """List every object in a folder and those below."""
    inside = len(folder.key) + 1 if folder.key else 0
    with obstore_errors(folder):
        for page in connect_bucket(folder.bucket).list(folder.key or None, chunk_size=_LIST_PAGE):
            for meta in page:
                yield _object_info(meta, meta["path"][inside:])


def delete_objects(urls: Sequence[ObjectUrl]) -> None:
    """Remove objects of one bucket; those that are not there are no error."""
    if urls:
        with obstore_errors(urls[0]):
            connect_bucket(urls[0].bucket).delete([url.key for url in urls])


def _object_info(meta: "ObjectMeta", name: str) -> ObjectInfo:
    state = str(meta["e_tag"] or meta["last_modified"]).encode()
    return ObjectInfo(name, meta["size"], int.from_bytes(hashlib.sha256(state).digest()[:8], "big"))
