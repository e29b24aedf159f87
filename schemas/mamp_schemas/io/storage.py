"""Local paths and object-store URLs, and how files at either are listed, read, written and removed.

In a bucket an object is whole or absent, folders are only name prefixes, and nothing can be locked. Endpoint, region
and
credentials come from the AWS_* environment of this process.
"""

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
from typing import TYPE_CHECKING

from mamp_schemas.io import storage as bucket
from mamp_schemas.io import storage as reader
from mamp_schemas.io.object_store_errors import RETRY_CONFIG, client_options, missing_obstore_error, translate_errors
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath

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
        etag_hash: 64 bits that differ when it is written anew with other bytes: of its ETag.
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


_BUFFER_BYTES = 2**18
"""Bytes asked for at least: the head and the table of a staged piece, a member of an archive."""


def open_object(url: ObjectUrl, *, whole: bool) -> io.BufferedIOBase:
    """Open an object for reading; see `mamp_schemas.io.storage.open_reader`."""
    if whole:
        return io.BytesIO(bucket.read_object(url))
    return io.BufferedReader(_ObjectReader(url), _BUFFER_BYTES)


class _ObjectReader(io.RawIOBase):
    """Reads an object by ranges. Its size is known from the first answer."""

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
        data, self._size = bucket.read_object_range(self._url, self._position, self._position + len(into))
        into[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _length(self) -> int:
        if self._size is None:
            self._size = bucket.object_size(self._url)
        return self._size


def read_bytes(file: StoragePath) -> bytes:
    """Return the bytes of a file.

    Raises:
        FileNotFoundError: it is not there.
    """
    return bucket.read_object(file) if isinstance(file, ObjectUrl) else file.read_bytes()


def open_binary(file: StoragePath, *, whole: bool = False) -> BufferedIOBase:
    """Open a file for reading, seekable.

    Args:
        file: the file.
        whole: whether all of it will be read: out of a bucket it then comes in one request.

    Raises:
        FileNotFoundError: it is not there; in a bucket that may show only when it is read.
    """
    return reader.open_object(file, whole=whole) if isinstance(file, ObjectUrl) else file.open("rb")


def is_file(place: StoragePath) -> bool:
    """Tell whether a single file stands at the place."""
    return bucket.head_object(place) is not None if isinstance(place, ObjectUrl) else place.is_file()


def exists(place: StoragePath) -> bool:
    """Tell whether a file or folder stands at the place; a folder in a bucket is there while it has an object."""
    if isinstance(place, ObjectUrl):
        return is_file(place) or any(True for _ in bucket.list_objects(place))
    return place.exists()


def file_size(file: StoragePath) -> int:
    """Return a file's bytes.

    Raises:
        FileNotFoundError: it is not there.
    """
    return bucket.object_size(file) if isinstance(file, ObjectUrl) else file.stat().st_size


def list_file_sizes(folder: StoragePath) -> dict[str, int]:
    """Return the bytes of every file in a folder and those below, by its path in it; none where it is not there."""
    if isinstance(folder, ObjectUrl):
        return {found.name: found.size for found in bucket.list_objects(folder)}
    sizes = {}
    for file in (Path(parent) / name for parent, _, names in os.walk(folder) for name in names):
        with suppress(FileNotFoundError):  # a process that was given up may still rename its own
            sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    return sizes


def make_folder(folder: StoragePath) -> None:
    """Make a folder and those above it, where there is none and a folder is more than a name."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def remove_file(file: StoragePath) -> None:
    """Remove a file, if it is there."""
    if isinstance(file, ObjectUrl):
        bucket.delete_objects([file])
    else:
        file.unlink(missing_ok=True)


def clear_folder(folder: StoragePath, keep: str) -> None:
    """Remove what stands in a folder, but for the file `keep`."""
    if isinstance(folder, ObjectUrl):
        bucket.delete_objects([folder / found.name for found in bucket.list_objects(folder) if found.name != keep])
        return
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
