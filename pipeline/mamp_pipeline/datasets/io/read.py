"""Reads the bytes of raw files from folders and archives, checks their CRC, and prefetches those in buckets."""

import codecs
import io
import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from mamp_pipeline.datasets.io.source import ArchiveEntry, RawSource
from mamp_schemas.errors import RawFileError, RawInputError, is_nul
from mamp_schemas.io.regular_files import open_unbuffered, read_at_most
from mamp_schemas.io.storage import open_binary, read_object, read_object_ranges
from mamp_schemas.io.storage_path import ObjectUrl, is_remote

_MAX_REQUESTS = 16
"""Requests at the same time: an object store is slow to begin an answer, and answers many at once."""

MAX_RAW_BYTES = 2**28
"""The most bytes that a raw file may have, unpacked: 256 MiB. It is read and parsed as a whole, in several times the
memory. The longest files known are a fifth of that and less: NTU RGB+D's 300 frames of six bodies take 6 MB, PKU-MMD's
longest videos, of some 7,000 frames, 20 MB, and an hour of 33 joints at 30 frames a second, as CSV, 100 MB."""

_LOCAL_HEADER_BYTES = 30
_EXTRA_FIELD_BYTES = 1_024
"""Bytes of a member's local header, and the most that its extra fields take: the directory does not give their size."""

_FileBytes: TypeAlias = Mapping[tuple[ObjectUrl, str], bytes | memoryview | RawFileError]

_prefetched_bytes: ContextVar[_FileBytes] = ContextVar("_held", default={})  # noqa: B039 - nobody writes into it


@contextmanager
def prefetch(sources: Sequence[RawSource]) -> Iterator[None]:
    """Hold the bytes of the sources that lie in buckets while the context lasts; missing files are left out.

    Raises:
        ObjectStoreError: a bucket cannot be used.
    """
    token = _prefetched_bytes.set(_fetch([file for source in sources for file in source.files]))
    try:
        yield
    finally:
        _prefetched_bytes.reset(token)


def prefetched(source: RawSource) -> bytes | memoryview | None:
    """Return a file's prefetched bytes, or an archive's from its member's local header on; None if there are none.

    Raises:
        RawFileError: the object is not the one that was listed.
    """
    container = source.container
    fetched = _prefetched_bytes.get().get((container, source.member)) if is_remote(container) else None
    if isinstance(fetched, RawFileError):
        raise fetched
    return fetched


def _fetch(files: Sequence[RawSource]) -> _FileBytes:
    file_bytes: dict[tuple[ObjectUrl, str], bytes | memoryview | RawFileError] = {}
    archives: dict[ObjectUrl, list[RawSource]] = defaultdict(list)
    single: list[tuple[ObjectUrl, RawSource]] = []
    for file in files:
        if is_remote(file.container) and not _is_too_large(file):
            if file.entry is None:
                single.append((file.container, file))
            else:
                archives[file.container].append(file)
    for archive, members in archives.items():
        file_bytes.update(_read_members(archive, members))
    if single:
        with ThreadPoolExecutor(min(_MAX_REQUESTS, len(single))) as pool:
            for (folder, file), data in zip(single, pool.map(_prefetch_object, single), strict=True):
                if data is not None:
                    file_bytes[folder, file.member] = data
    return file_bytes


def _read_members(archive: ObjectUrl, members: Sequence[RawSource]) -> _FileBytes:
    offsets = [(member.entry.offset, member) for member in members if member.entry]
    starts = [offset for offset, _ in offsets]
    stops = [offset + _member_bytes(member) for offset, member in offsets]
    try:
        contents = read_object_ranges(archive, starts, stops)
    except FileNotFoundError:
        return {}
    return {(archive, member.member): data for (_, member), data in zip(offsets, contents, strict=True)}


def _member_bytes(member: RawSource) -> int:
    """Return how many bytes to fetch for a member; where that is too few, its reader fetches it again."""
    packed = member.entry.compressed_size if member.entry else 0
    return _LOCAL_HEADER_BYTES + len(member.member.encode()) + _EXTRA_FIELD_BYTES + packed


def _prefetch_object(location: tuple[ObjectUrl, RawSource]) -> bytes | RawFileError | None:
    folder, file = location
    try:
        return _read_object(folder, file)
    except FileNotFoundError:
        return None
    except RawFileError as problem:
        return problem


def _read_object(folder: ObjectUrl, file: RawSource) -> bytes:
    content, info = read_object(folder / file.member, MAX_RAW_BYTES)
    _check_unchanged(file, len(content), info.etag_hash)
    return content


def choose_inflater() -> Any:
    """Return the module that inflates: ISA-L's drop-in for zlib where it is installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


inflater = choose_inflater()
"""The module that inflates, for all reads of this process."""

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ZIP_BOMB_MIN_BYTES, _MAX_COMPRESSION_RATIO = 2**24, 100
"""A member of more than this many bytes, unpacked, and this many times its packed size is refused before it takes the
memory: recorded numbers deflate to about a fifth."""

_MAX_GZIP_MEMBERS = 100_000
"""A member for every 64 kB, as bgzip writes them, makes 4,096 of the largest raw file."""

_PIECE_BYTES = 2**14
"""Bytes that are unpacked at a time."""

_GZIP_BITS = 16 + zlib.MAX_WBITS
"""The format that zlib is to expect: gzip's header and CRC."""

_GZIP_MAGIC = b"\x1f\x8b\x08"

_HEAD_BYTES = 4_096
"""Packed bytes that hold the code tables of a member's first block, and some text."""


def read_source(source: RawSource) -> bytes:
    """Read a raw file's bytes.

    An archive's member is read from its known offset: opening the archive would parse the directory of all its
    members, which takes half a second for NTU's, in every process.

    A gzipped file is unpacked. The mark of UTF-8 that some editors write before a text is left out.

    Raises:
        RawFileError: the file is unreadable, too large, truncated, full of NUL bytes, gzipped without saying so, not
            the one that was listed, or does not have its CRC.
        RawInputError: it was replaced by a file of the same size and time.
        ObjectStoreError: the bucket it lies in cannot be used.
    """
    data = _read_stored(source)
    data = gunzip(data) if source.gzipped else data
    if is_nul(data):
        raise RawFileError("NUL characters, 100% of the file: a damaged download or copy")
    if not source.gzipped and data.startswith(_GZIP_MAGIC):
        raise RawFileError("gzipped content under a name that does not say so: add .gz to the name, or unpack it")
    return data.removeprefix(codecs.BOM_UTF8)


def _read_stored(source: RawSource) -> bytes:
    """Read a raw file's bytes as a folder holds them or an archive unpacks them."""
    if _is_too_large(source):
        raise RawFileError(f"{source.size:,} bytes: more than {MAX_RAW_BYTES:,}, the most that a raw file may have")
    try:
        if source.entry is None:
            return _read_file(source)
        _reject_zip_bomb(source.size, source.entry)
        packed = _read_compressed(source, source.entry)
    except OSError as problem:
        raise RawFileError(f"cannot be read ({problem.strerror})") from None
    data = _inflate(packed, source.size) if source.entry.deflated else packed
    if len(data) != source.size or inflater.crc32(data) != source.entry.crc:
        raise RawFileError(f"{len(data)} bytes that do not have the size and CRC the archive names ({source.size})")
    return data


def have_same_content(first: RawSource, second: RawSource) -> bool:
    """Return whether two files have the same bytes; files that cannot be read have not."""
    if first.size != second.size:
        return False
    if first.crc is not None and second.crc is not None:
        return first.crc == second.crc
    try:
        return read_source(first) == read_source(second)
    except RawFileError:
        return False


def read_head(source: RawSource, size: int) -> bytes:
    """Read a raw file's first bytes, of a gzipped one as it unpacks, without checking the rest.

    Raises:
        RawFileError: the file is unreadable.
    """
    if not source.gzipped:
        return _read_stored_head(source, size)
    head = _read_stored_head(source, _HEAD_BYTES + size)
    try:
        return bytes(inflater.decompressobj(_GZIP_BITS).decompress(head, size))
    except inflater.error as problem:
        raise RawFileError(f"cannot be unpacked ({problem})") from None


def _read_stored_head(source: RawSource, size: int) -> bytes:
    try:
        if source.entry is None:
            if not source.size:  # of an empty object there is no range to ask for
                return b""
            with open_binary(source.container / source.member) as file:
                return file.read(size)
        packed = _read_compressed(source, source.entry, _HEAD_BYTES + size)
    except OSError as problem:
        raise RawFileError(f"cannot be read ({problem.strerror})") from None
    return _inflate(packed, size)[:size] if source.entry.deflated else packed[:size]


def _is_too_large(source: RawSource) -> bool:
    return max(source.size, source.entry.compressed_size if source.entry else 0) > MAX_RAW_BYTES


def _read_file(source: RawSource) -> bytes:
    """Read a file unbuffered: raw files are read once and whole, and a dataset has a hundred thousand."""
    if is_remote(source.container):
        fetched = prefetched(source)
        return _read_object(source.container, source) if fetched is None else bytes(fetched)
    with open_unbuffered(source.container / source.member) as file:
        content = read_at_most(file, source.size + 1)
        # Looked at after reading, so that what was written into the file meanwhile shows.
        status = os.fstat(file.fileno())
        _check_unchanged(source, len(content), status.st_mtime_ns)
        if source.changed and status.st_ctime_ns != source.changed:
            raise replaced_error(source.location)
        return content


def replaced_error(location: str) -> RawInputError:
    """Return the error for input that is perhaps not what was listed, although size and time of writing are."""
    return RawInputError(
        f"{location}: was written, replaced or given other attributes while it was ingested",
        remedy="Run the same command again, once nothing writes there: what is read already is kept.",
    )


def _check_unchanged(source: RawSource, size: int, modified: int) -> None:
    """Refuse a file that was written after it was listed: the store names its input by what was listed.

    Args:
        source: the file as it was listed.
        size: how many bytes were read; one more than expected stands for any greater number.
        modified: as `RawSource.modified`, of what was read.
    """
    if size != source.size:
        got = f"{size:,}" if size < source.size else "more"
        raise RawFileError(f"was written while it was ingested: {source.size:,} bytes were listed, {got} were read")
    if source.modified and modified != source.modified:
        raise RawFileError("was written while it was ingested: its time of change is not the one that was listed")


def _read_compressed(source: RawSource, entry: ArchiveEntry, limit: int | None = None) -> bytes:
    with _open_member(source, entry) as file:
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
            raise RawFileError(f"no member at byte {entry.offset} of the archive")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        file.seek(name_length + extra_length, 1)
        return file.read(entry.compressed_size if limit is None else min(limit, entry.compressed_size))


def _open_member(source: RawSource, entry: ArchiveEntry) -> io.BufferedIOBase:
    """Open an archive at a member's local header."""
    fetched = prefetched(source)
    if fetched is not None and len(fetched) >= _LOCAL_HEADER.size:
        _, name_length, extra_length = _LOCAL_HEADER.unpack_from(fetched)
        if len(fetched) >= _LOCAL_HEADER.size + name_length + extra_length + entry.compressed_size:
            return io.BytesIO(fetched)
    file = open_binary(source.container)
    file.seek(entry.offset)
    return file


def _reject_zip_bomb(size: int, entry: ArchiveEntry) -> None:
    if size > max(_ZIP_BOMB_MIN_BYTES, _MAX_COMPRESSION_RATIO * entry.compressed_size):
        raise RawFileError(
            f"the archive holds {entry.compressed_size:,} bytes that would unpack to {size:,}: "
            "no recording packs so well"
        )


def _inflate(packed: bytes, size: int) -> bytes:
    """Inflate to at most `size` + 1 bytes, which shows a wrong size in the archive without unpacking everything."""
    try:
        return bytes(inflater.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1))
    except inflater.error as problem:
        raise RawFileError(f"cannot be unpacked ({problem})") from None


def gunzip(packed: bytes, limit: int = MAX_RAW_BYTES) -> bytes:
    """Unpack a gzipped file, of one or several members as in gzip's format; each member's CRC is checked.

    Args:
        packed: the file.
        limit: the most bytes that it may unpack to.

    Raises:
        RawFileError: it is not gzipped, cut short, damaged, or too large.
    """
    likely = max(_ZIP_BOMB_MIN_BYTES, _MAX_COMPRESSION_RATIO * len(packed))
    room = min(limit, likely)
    content, stream = bytearray(), inflater.decompressobj(_GZIP_BITS)
    # By pieces: what is left behind a member is copied, and there may be a member for every few bytes.
    waiting, read, members = b"", 0, 1
    while waiting or read < len(packed):
        if not waiting:
            waiting = packed[read : read + _PIECE_BYTES]
            read += len(waiting)
        if stream.eof:
            waiting = waiting.lstrip(b"\0")  # tapes and disks are filled up by zeros
            if not waiting:
                continue
            stream, members = inflater.decompressobj(_GZIP_BITS), members + 1
            if members > _MAX_GZIP_MEMBERS:
                raise RawFileError(f"has more than {_MAX_GZIP_MEMBERS:,} gzipped members: pack it again with gzip")
        try:
            content += stream.decompress(waiting, room + 1 - len(content))
        except inflater.error as problem:
            raise RawFileError(f"cannot be unpacked ({problem})") from None
        if len(content) > limit:
            raise RawFileError(f"unpacks to more than {limit:,} bytes: no recording is so large")
        if len(content) > likely:
            raise RawFileError(f"its {len(packed):,} bytes unpack to more than {likely:,}: no recording packs so well")
        waiting = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise RawFileError("cannot be unpacked (the gzipped file is cut short)")
    return bytes(content)
