"""An object as a file to seek and read in, for what reads files: each read that leaves the buffer is one request."""

import io
import os

from mamp_pipeline.places import bucket
from mamp_schemas.places import ObjectUrl

_BUFFER = 2**18
"""Bytes asked for at least: the head and the table of a staged piece, a member of an archive."""


def open_reader(url: ObjectUrl, *, whole: bool) -> io.BufferedIOBase:
    """Open an object for reading; see `mamp_pipeline.places.open_reader`."""
    if whole:
        return io.BytesIO(bucket.read(url))
    return io.BufferedReader(_Ranges(url), _BUFFER)


class _Ranges(io.RawIOBase):
    """Reads an object by ranges. Its size is known from the first answer."""

    def __init__(self, url: ObjectUrl) -> None:
        self._url, self._place = url, 0
        self._size: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._place
        elif whence == os.SEEK_END:
            offset += self._length()
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place

    def readinto(self, into: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not len(into) or (self._size is not None and self._place >= self._size):
            return 0
        data, self._size = bucket.read_range(self._url, self._place, self._place + len(into))
        into[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _length(self) -> int:
        if self._size is None:
            self._size = bucket.measure(self._url)
        return self._size
