"""Lists the files of a folder, a zip archive or a bucket prefix, with all that is needed to read each later."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mamp_pipeline.datasets.io.source import ArchiveEntry
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.storage import head_object, list_objects, open_binary
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

_SUPPORTED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAG = 0x1


class ListedFile(NamedTuple):
    """A listed file.

    Attributes:
        member: path inside the container.
        size: bytes, unpacked.
        entry: where an archive holds it; None in a folder or bucket.
        modified: see `RawSource.modified`.
    """

    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int


def list_files(path: StoragePath) -> Iterator[ListedFile]:
    """List the files of a folder, recursively, or of a zip archive, on this machine or in a bucket.

    Raises:
        RawInputError: the path is missing, forbidden or no archive, or the archive has members that are refused.
        ObjectStoreError: the bucket cannot be used.
    """
    try:
        if is_remote(path):
            return _list_archive(path) if head_object(path) else _list_prefix(path)
        if path.is_dir():
            return _list_folder(path, _FollowedLinks(path))
        if path.exists():
            return _list_archive(path)
    except PermissionError as problem:
        raise RawInputError(
            f"{path}: cannot be reached ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None
    raise _missing_path_error(path)


def list_file(path: StoragePath) -> ListedFile:
    """Describe a single file, as its folder's listing would."""
    if is_remote(path):
        item = head_object(path)
        return ListedFile(path.name, item.size, None, item.etag_hash) if item else ListedFile(path.name, 0, None, 0)
    return _stat_file(path, path.name)


def _missing_path_error(path: StoragePath) -> RawInputError:
    return RawInputError(f"{path}: no such folder or archive", remedy="Check the path.")


def _list_prefix(url: ObjectUrl) -> Iterator[ListedFile]:
    """List a folder in a bucket, a request for every thousand objects."""
    empty = True
    for item in list_objects(url):
        empty = False
        yield ListedFile(item.name, item.size, None, item.etag_hash)
    if empty:
        raise _missing_path_error(url)


class _FollowedLinks:
    """Decides which links to folders to follow: each folder once, and none that is listed anyway.

    Args:
        root: the folder listed.
    """

    def __init__(self, root: Path) -> None:
        self._reached = [root.resolve()]

    def should_follow(self, link: Path) -> bool:
        """Return whether to follow a link to a folder; of several links to one folder, the first is followed."""
        target = link.resolve()
        if any(target.is_relative_to(reached) or reached.is_relative_to(target) for reached in self._reached):
            return False
        self._reached.append(target)
        return True


def _list_folder(path: Path, links: _FollowedLinks, inside: str = "") -> Iterator[ListedFile]:
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    if not entry.is_symlink() or links.should_follow(Path(entry.path)):
                        yield from _list_folder(Path(entry.path), links, f"{inside}{entry.name}/")
                else:
                    yield _stat_file(entry, inside + entry.name)
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot list the folder ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None


def _stat_file(entry: os.DirEntry[str] | Path, member: str) -> ListedFile:
    """Return a file's size and time of change; zeros if they cannot be read: reading the file will say why."""
    try:
        status = entry.stat()
    except OSError:
        return ListedFile(member, 0, None, 0)
    return ListedFile(member, status.st_size, None, status.st_mtime_ns)


def _list_archive(path: StoragePath) -> Iterator[ListedFile]:
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
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
    return (_archive_member(path, member) for member in members if not member.is_dir())


def _archive_member(path: StoragePath, member: zipfile.ZipInfo) -> ListedFile:
    if _escapes_archive(member.filename):
        raise RawInputError(
            f"{path}: member {member.filename!r} points outside the archive",
            remedy="No dataset is distributed like this: fetch the archive again from its source.",
        )
    if member.compress_type not in _SUPPORTED_METHODS or member.flag_bits & _ENCRYPTED_FLAG:
        raise RawInputError(
            f"{path}: member {member.filename} is encrypted or packed by method {member.compress_type}, "
            "expected none or deflate",
            remedy="Unpack the archive and name the folder.",
        )
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    entry = ArchiveEntry(member.CRC, member.header_offset, member.compress_size, deflated)
    return ListedFile(member.filename, member.file_size, entry, 0)


def _escapes_archive(member: str) -> bool:
    name = member.replace("\\", "/")
    return name.startswith("/") or name[1:3] == ":/" or (".." in name and ".." in name.split("/"))
