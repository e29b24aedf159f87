"""Raw files in buckets, fetched before their part is parsed: an archive's in few requests, others many at a time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from mamp_pipeline.places import bucket
from mamp_pipeline.raw.entries import RawSource
from mamp_schemas.places import ObjectUrl

_MAX_REQUESTS = 16
"""Requests under way: an object store takes long to begin an answer, and many at the same time."""

_LOCAL_HEADER_BYTES = 30
_EXTRA_FIELD_BYTES = 1_024
"""Bytes of a member's local header, and at most of its extra fields, which the archive's directory does not tell."""

_FileBytes: TypeAlias = Mapping[tuple[ObjectUrl, str], bytes | memoryview]

_prefetched_bytes: ContextVar[_FileBytes] = ContextVar("_held", default={})  # noqa: B039 - nobody writes into it


@contextmanager
def prefetch(sources: Sequence[RawSource]) -> Iterator[None]:
    """Hold the bytes of those sources that lie in buckets, for `find_fetched`; what is not there is left out.

    Raises:
        ObjectStoreError: a bucket cannot be used.
    """
    token = _prefetched_bytes.set(_fetch([file for source in sources for file in source.files]))
    try:
        yield
    finally:
        _prefetched_bytes.reset(token)


def prefetched(source: RawSource) -> bytes | memoryview | None:
    """Return a file's bytes, or an archive's from its member's local header on; None where they are not held."""
    place = source.container
    return _prefetched_bytes.get().get((place, source.member)) if isinstance(place, ObjectUrl) else None


def _fetch(files: Sequence[RawSource]) -> _FileBytes:
    held: dict[tuple[ObjectUrl, str], bytes | memoryview] = {}
    archives: dict[ObjectUrl, list[RawSource]] = defaultdict(list)
    single: list[tuple[ObjectUrl, str]] = []
    for file in files:
        if isinstance(file.container, ObjectUrl):
            if file.entry is None:
                single.append((file.container, file.member))
            else:
                archives[file.container].append(file)
    for archive, members in archives.items():
        held.update(_read_members(archive, members))
    if single:
        with ThreadPoolExecutor(min(_MAX_REQUESTS, len(single))) as pool:
            found = pool.map(_read_object, single)
            held.update((key, data) for key, data in zip(single, found, strict=True) if data is not None)
    return held


def _read_members(archive: ObjectUrl, members: Sequence[RawSource]) -> _FileBytes:
    places = [(member.entry.offset, member) for member in members if member.entry]
    starts = [offset for offset, _ in places]
    stops = [offset + _member_bytes(member) for offset, member in places]
    try:
        found = bucket.read_object_ranges(archive, starts, stops)
    except FileNotFoundError:
        return {}
    return {(archive, member.member): data for (_, member), data in zip(places, found, strict=True)}


def _member_bytes(member: RawSource) -> int:
    """Return how many bytes hold a member for sure, or almost: its reader looks."""
    packed = member.entry.compressed_size if member.entry else 0
    return _LOCAL_HEADER_BYTES + len(member.member.encode()) + _EXTRA_FIELD_BYTES + packed


def _read_object(place: tuple[ObjectUrl, str]) -> bytes | None:
    folder, member = place
    try:
        return bucket.read_object(folder / member)
    except FileNotFoundError:
        return None
