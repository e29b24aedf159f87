"""Listing: every file in a folder or zip archive, with what is needed to read it later."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mamp_pipeline.places import bucket, open_reader
from mamp_pipeline.raw.entries import ArchiveEntry
from mamp_schemas.errors import RawInputError
from mamp_schemas.places import ObjectUrl, Place

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


class Listed(NamedTuple):
    """A file: its path inside the container, bytes, place in an archive; in a folder `RawSource.modified`."""

    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int


def list_files(path: Place) -> Iterator[Listed]:
    """List the files of a folder, recursively, or of a zip archive, on this machine or in a bucket.

    Raises:
        RawInputError: the path is missing, forbidden or no archive; or the archive is not to be trusted.
        ObjectStoreError: the bucket cannot be used.
    """
    try:
        if isinstance(path, ObjectUrl):
            return _list_archive(path) if bucket.find(path) else _list_prefix(path)
        if path.is_dir():
            return _list_folder(path, _Links(path))
        if path.exists():
            return _list_archive(path)
    except PermissionError as problem:
        raise RawInputError(
            f"{path}: cannot be reached ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None
    raise _nothing_there(path)


def list_file(path: Place) -> Listed:
    """Describe a single file, as its folder's listing would."""
    if isinstance(path, ObjectUrl):
        found = bucket.find(path)
        return Listed(path.name, found.size, None, found.changed) if found else Listed(path.name, 0, None, 0)
    return _measure(path, path.name)


def _nothing_there(path: Place) -> RawInputError:
    return RawInputError(f"{path}: no such folder or archive", remedy="Check the path.")


def _list_prefix(url: ObjectUrl) -> Iterator[Listed]:
    """List a folder in a bucket by as few requests as there are thousands of objects, none for a single one."""
    there = False
    for found in bucket.list_objects(url):
        there = True
        yield Listed(found.name, found.size, None, found.changed)
    if not there:
        raise _nothing_there(url)


class _Links:
    """Which folders behind links are to be followed: each once, and none that is inside the folder listed anyway.

    Args:
        root: the folder listed.
    """

    def __init__(self, root: Path) -> None:
        self._reached = [root.resolve()]

    def follow(self, link: Path) -> bool:
        """Return whether a link to a folder is to be followed; a link that comes first counts."""
        target = link.resolve()
        if any(target.is_relative_to(reached) or reached.is_relative_to(target) for reached in self._reached):
            return False
        self._reached.append(target)
        return True


def _list_folder(path: Path, links: _Links, inside: str = "") -> Iterator[Listed]:
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    if not entry.is_symlink() or links.follow(Path(entry.path)):
                        yield from _list_folder(Path(entry.path), links, f"{inside}{entry.name}/")
                else:
                    yield _measure(entry, inside + entry.name)
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot list the folder ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None


def _measure(entry: os.DirEntry[str] | Path, member: str) -> Listed:
    """Return a file's facts; zeros where they cannot be had, for reading it will say why."""
    try:
        facts = entry.stat()
    except OSError:
        return Listed(member, 0, None, 0)
    return Listed(member, facts.st_size, None, facts.st_mtime_ns)


def _list_archive(path: Place) -> Iterator[Listed]:
    try:
        with open_reader(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except PermissionError as problem:
        raise RawInputError(
            f"{path}: cannot be opened ({problem.strerror})", remedy="Make the archive readable."
        ) from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as problem:
        raise RawInputError(
            f"{path}: neither a folder nor a readable zip archive ({problem})",
            remedy="Fetch the archive again, or unpack it and name the folder.",
        ) from None
    return (_place(path, member) for member in members if not member.is_dir())


def _place(path: Place, member: zipfile.ZipInfo) -> Listed:
    if _points_outside(member.filename):
        raise RawInputError(
            f"{path}: member {member.filename!r} points outside the archive",
            remedy="No dataset is distributed like this: fetch the archive again from its source.",
        )
    if member.compress_type not in _READABLE or member.flag_bits & _ENCRYPTED:
        raise RawInputError(
            f"{path}: member {member.filename} is encrypted or packed by method {member.compress_type}, "
            "expected none or deflate",
            remedy="Unpack the archive and name the folder.",
        )
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    entry = ArchiveEntry(member.CRC, member.header_offset, member.compress_size, deflated)
    return Listed(member.filename, member.file_size, entry, 0)


def _points_outside(member: str) -> bool:
    name = member.replace("\\", "/")
    return name.startswith("/") or name[1:3] == ":/" or (".." in name and ".." in name.split("/"))
