"""List, read, write and remove files, on disk or in a bucket. The only module that talks to object stores.

The first half works on either kind of `StoragePath`; the second half on objects only. In a bucket an object is whole or
absent, folders are only prefixes of names, and nothing can be locked. Endpoint, region and credentials come from the
AWS_* variables in the environment of this process. obstore is imported on first use: only S3 needs it.
"""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cache
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mamp_schemas.io.object_store_errors import RETRY_CONFIG, client_options, missing_obstore_error, translate_errors
from mamp_schemas.io.regular_files import RECORD_BYTES, open_regular, read_regular, too_large
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Store

_LIST_PAGE = 1_000
"""Objects in one answer to a listing."""

_COALESCE_BYTES = 2**18
"""Two ranges closer than this are fetched in one request."""

_BUFFER_BYTES = 2**18
"""Smallest read from an object: the head and the columns of a staged part, or a member of an archive."""


def read_bytes(file: StoragePath, limit: int = RECORD_BYTES) -> bytes:
    """Return the bytes of a file.

    Args:
        file: the file.
        limit: the most bytes that it may have.

    Raises:
        FileNotFoundError: it does not exist.
        OSError: it is not a regular file, or has more bytes.
        ObjectStoreError: the bucket cannot be used.
    """
    return read_object(file, limit).content if is_remote(file) else read_regular(file, limit)


def open_binary(file: StoragePath, *, whole: bool = False) -> BufferedIOBase:
    """Open a regular file for reading, seekable.

    Args:
        file: the file.
        whole: whether all of it will be read: an object then comes in one request.

    Raises:
        FileNotFoundError: it does not exist; for an object perhaps only at the first read.
        ObjectStoreError: the bucket cannot be used.
    """
    if isinstance(file, Path):
        return open_regular(file)
    return (
        io.BytesIO(read_object(file, RECORD_BYTES).content)
        if whole
        else io.BufferedReader(_ObjectReader(file), _BUFFER_BYTES)
    )


def is_file(path: StoragePath) -> bool:
    """Return whether there is a file, or an object, of this name."""
    return head_object(path) is not None if is_remote(path) else path.is_file()


def exists(path: StoragePath) -> bool:
    """Return whether there is a file or folder; a folder in a bucket exists while it holds an object.

    Raises:
        ObjectStoreError: the bucket does not exist or cannot be used.
    """
    if is_remote(path):
        return is_file(path) or any(True for _ in list_objects(path))
    return path.exists()


def file_size(file: StoragePath) -> int:
    """Return a file's size in bytes.

    Raises:
        FileNotFoundError: it does not exist.
    """
    return object_size(file) if is_remote(file) else file.stat().st_size


def modification_token(file: StoragePath) -> int:
    """Return a number that changes when a file is written: its time of change in nanoseconds, or a hash of its ETag.

    Raises:
        FileNotFoundError: it does not exist.
    """
    if not is_remote(file):
        return file.stat().st_mtime_ns
    info = head_object(file)
    if info is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    return info.etag_hash


def list_file_sizes(folder: StoragePath) -> dict[str, int]:
    """Return the bytes of every file in a folder and below, by relative path; empty if there is no folder."""
    if is_remote(folder):
        return {info.name: info.size for info in list_objects(folder)}
    sizes = {}
    for file in (Path(parent) / name for parent, _, names in os.walk(folder) for name in names):
        with suppress(FileNotFoundError):  # another process may rename its own files meanwhile
            sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    return sizes


def make_folder(folder: StoragePath) -> None:
    """Make a folder and its parents. Buckets need none."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def remove_file(file: StoragePath) -> None:
    """Remove a file, if it exists."""
    if is_remote(file):
        delete_objects([file])
    else:
        file.unlink(missing_ok=True)


def clear_folder(folder: StoragePath, keep: str) -> None:
    """Remove everything in a folder except the file `keep`."""
    if is_remote(folder):
        delete_objects([folder / info.name for info in list_objects(folder) if info.name != keep])
        return
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a bucket.

    Attributes:
        name: its path, relative to the folder that was listed.
        size: bytes.
        etag_hash: 64 bits of a hash of its ETag, which changes when other bytes are written.
    """

    name: str
    size: int
    etag_hash: int


@cache
def connect_bucket(bucket: str, prefix: str | None = None) -> "S3Store":
    """Return the client of a bucket, or of a prefix in it. Clients keep their connections, so they are cached."""
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise missing_obstore_error(ObjectUrl(bucket, prefix or "")) from None
    options = client_options(os.environ)
    return S3Store(bucket, prefix=prefix, client_options=options, retry_config=RETRY_CONFIG)


def obstore_errors(url: ObjectUrl) -> AbstractContextManager[None]:
    """Return a context in which obstore's errors become ours; see `object_store_errors.translate_errors`."""
    try:
        from obstore.exceptions import BaseError
    except ModuleNotFoundError:
        raise missing_obstore_error(url) from None
    return translate_errors(url, BaseError)


class ObjectContent(NamedTuple):
    """The bytes of an object, and what its listing would say of it now."""

    content: bytes
    info: ObjectInfo


def read_object(url: ObjectUrl, limit: int) -> ObjectContent:
    """Return an object's bytes.

    Args:
        url: the object.
        limit: the most bytes that it may have.

    Raises:
        FileNotFoundError: it does not exist.
        OSError: it has more bytes.
        ObjectStoreError: the bucket cannot be used.
    """
    with obstore_errors(url):
        result = connect_bucket(url.bucket).get(url.key)
        info = _object_info(result.meta, url.name)
        if info.size <= limit:
            return ObjectContent(result.bytes().to_bytes(), info)
    raise OSError(errno.EINVAL, too_large(limit), str(url))


def read_object_range(url: ObjectUrl, start: int, stop: int) -> tuple[bytes, int]:
    """Return bytes [start, stop) of an object, cut at its end, and the object's size.

    Args:
        url: the object.
        start: before the object's end.
        stop: greater than `start`.
    """
    with obstore_errors(url):
        result = connect_bucket(url.bucket).get(url.key, options={"range": (start, stop)})
        return result.bytes().to_bytes(), result.meta["size"]


def read_object_ranges(url: ObjectUrl, starts: Sequence[int], stops: Sequence[int]) -> list[memoryview]:
    """Return several ranges of an object, each cut at its end; ranges close to each other share a request."""
    with obstore_errors(url):
        ranges = connect_bucket(url.bucket).get_ranges(url.key, starts=starts, ends=stops, coalesce=_COALESCE_BYTES)
        return [memoryview(data) for data in ranges]


def write_object(url: ObjectUrl, data: bytes) -> None:
    """Write an object in one request, so that an upload that is given up leaves nothing in the bucket."""
    with obstore_errors(url):
        connect_bucket(url.bucket).put(url.key, data, use_multipart=False)


def head_object(url: ObjectUrl) -> ObjectInfo | None:
    """Return an object's size and ETag; None if it does not exist."""
    if not url.key:
        return None
    try:
        with obstore_errors(url):
            return _object_info(connect_bucket(url.bucket).head(url.key), url.name)
    except FileNotFoundError:
        return None


def object_size(url: ObjectUrl) -> int:
    """Return an object's size in bytes.

    Raises:
        FileNotFoundError: it does not exist.
    """
    with obstore_errors(url):
        return connect_bucket(url.bucket).head(url.key)["size"]


def list_objects(folder: ObjectUrl) -> Iterator[ObjectInfo]:
    """Yield every object in a folder and below."""
    prefix = len(folder.key) + 1 if folder.key else 0
    with obstore_errors(folder):
        for page in connect_bucket(folder.bucket).list(folder.key or None, chunk_size=_LIST_PAGE):
            for meta in page:
                yield _object_info(meta, meta["path"][prefix:])


def delete_objects(urls: Sequence[ObjectUrl]) -> None:
    """Remove objects of one bucket; those that do not exist are no error."""
    if urls:
        with obstore_errors(urls[0]):
            connect_bucket(urls[0].bucket).delete([url.key for url in urls])


def _object_info(meta: "ObjectMeta", name: str) -> ObjectInfo:
    state = str(meta["e_tag"] or meta["last_modified"].replace(microsecond=0)).encode()
    return ObjectInfo(name, meta["size"], int.from_bytes(hashlib.sha256(state).digest()[:8], "big"))


class _ObjectReader(io.RawIOBase):
    """Reads an object by ranges. The first answer tells its size."""

    def __init__(self, url: ObjectUrl) -> None:
        self._url, self._position = url, 0
        self._size: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self._length()
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def readinto(self, into: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not len(into) or (self._size is not None and self._position >= self._size):
            return 0
        data, self._size = read_object_range(self._url, self._position, self._position + len(into))
        into[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _length(self) -> int:
        if self._size is None:
            self._size = object_size(self._url)
        return self._size
