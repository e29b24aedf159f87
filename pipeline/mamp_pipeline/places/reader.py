"""An object as a file to seek and read in, for what reads files: each read that leaves the buffer is one request."""

import io
import os

from mamp_pipeline.places import bucket
from mamp_schemas.places import ObjectUrl

_BUFFER_BYTES = 2**18
"""Bytes asked for at least: the head and the table of a staged piece, a member of an archive."""


def open_object(url: ObjectUrl, *, whole: bool) -> io.BufferedIOBase:
    """Open an object for reading; see `mamp_pipeline.places.open_reader`."""
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
