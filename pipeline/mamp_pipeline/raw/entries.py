"""One raw file's place, small and picklable, and the reading of its bytes."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from mamp_schemas.errors import RawFileError

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """Where a zip archive holds a member: all that reading it needs besides the archive's path.

    Attributes:
        crc: CRC-32 of the unpacked bytes.
        offset: of the member's local header, in bytes.
        packed_size: bytes in the archive.
        deflated: whether they are deflated, else stored as they are.
    """

    crc: int
    offset: int
    packed_size: int
    deflated: bool


@dataclass(frozen=True, slots=True)
class RawSource:
    """One raw file in a folder or archive.

    Attributes:
        id: the clip's id.
        container: the folder or zip archive as named by the user.
        member: path inside it, with `/`.
        size: bytes of the unpacked file.
        entry: its place in an archive; None in a folder.
        modified: when a file in a folder was last written, nanoseconds since the epoch; 0 in an archive.
    """

    id: str
    container: Path
    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int = 0

    @property
    def changed(self) -> int:
        """What tells an edited file of the same size: the member's CRC-32, or the file's time of writing."""
        return self.entry.crc if self.entry else self.modified

    @property
    def file_name(self) -> str:
        """The name without folders."""
        return self.member.rpartition("/")[2]

    @property
    def crc(self) -> int | None:
        """CRC-32 as the archive gives it; None for a file in a folder."""
        return self.entry.crc if self.entry else None

    @property
    def place(self) -> str:
        """Container and member, for messages."""
        return f"{self.container}/{self.member}"


def read_source(source: RawSource) -> bytes:
    """Read a raw file's bytes.

    An archive's member is read from its known place: opening the archive as a whole would parse the directory
    of all its members, half a second for NTU's, in every process again.

    Raises:
        RawFileError: the file is unreadable, truncated, or does not have its CRC.
    """
    try:
        if source.entry is None:
            return (source.container / source.member).read_bytes()
        packed = _read_packed(source.container, source.entry)
    except OSError as problem:
        raise RawFileError(f"cannot be read ({problem.strerror})") from None
    data = _inflate(packed, source.size) if source.entry.deflated else packed
    if len(data) != source.size or zlib.crc32(data) != source.entry.crc:
        raise RawFileError(f"{len(data)} bytes that do not have the size and CRC the archive names ({source.size})")
    return data


def _read_packed(archive: Path, entry: ArchiveEntry) -> bytes:
    with archive.open("rb") as file:
        file.seek(entry.offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
            raise RawFileError(f"no member at byte {entry.offset} of the archive")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        file.seek(name_length + extra_length, 1)
        return file.read(entry.packed_size)


def _inflate(packed: bytes, size: int) -> bytes:
    """Inflate to at most `size` + 1 bytes: a wrong size in the archive shows without unpacking all there is."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    except zlib.error as problem:
        raise RawFileError(f"cannot be unpacked ({problem})") from None
