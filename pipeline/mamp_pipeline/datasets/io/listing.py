"""Lists the files of folders, zip archives and buckets.

Listing a container returns all that is needed to read each of its files later.
"""

import errno
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO, NamedTuple, cast

from mamp_pipeline.datasets.file_names import is_archive, strip_suffix
from mamp_pipeline.datasets.io.source import ArchiveEntry
from mamp_schemas.errors import RawInputError, printable
from mamp_schemas.io.storage import head_object, list_objects, modification_token, open_binary
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

_SUPPORTED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAG = 0x1
_MAX_BYTES = 2**62
"""The largest size and offset that is believed of an archive; sums of both stay within 64 bits."""


class ListedFile(NamedTuple):
    """A listed file.

    Attributes:
        member: path inside the container.
        size: bytes, unpacked.
        entry: where an archive holds it; None in a folder or bucket.
        modified, changed: see `RawSource`.
        problem: why it is no file that can be read; empty for all others.
    """

    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int
    changed: int = 0
    problem: str = ""


class PathListing(NamedTuple):
    """What a path is, and its files.

    Attributes:
        container: the folder or archive; of a single file the folder that it is in.
        named: whether the path is that of a single file.
        files: the file, or all that the container holds.
    """

    container: StoragePath
    named: bool
    files: Iterable[ListedFile]


def list_path(path: StoragePath, suffix: str) -> PathListing:
    """List the files of a folder, recursively, or of a zip archive, or a single file, on this machine or in a bucket.

    Args:
        path: the folder, archive or file.
        suffix: of raw files: a file that ends in it is none but a raw file.

    Raises:
        RawInputError: the path is missing, forbidden or no archive, or the archive has members that are refused.
        ObjectStoreError: the bucket cannot be used.
    """
    if is_remote(path):
        item = head_object(path)
        if item is None:
            return PathListing(path, False, _list_prefix(path))
        if _is_single_file(path, suffix):
            return PathListing(path.parent, True, [ListedFile(path.name, item.size, None, item.etag_hash)])
        return PathListing(path, False, _list_archive(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise _missing_path_error(path) from None
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot be reached ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None
    if stat.S_ISDIR(mode):
        return PathListing(path, False, _list_folder(path, _FollowedLinks(path)))
    if not stat.S_ISREG(mode) or _is_single_file(path, suffix):
        return PathListing(path.parent, True, [_stat_file(path, path.name)])
    return PathListing(path, False, _list_archive(path))


def _is_single_file(path: StoragePath, suffix: str) -> bool:
    """Return whether a file is not an archive."""
    if strip_suffix(path.name, suffix) is not None:
        return True
    if is_archive(path.name):
        return False
    try:
        with open_binary(path) as file:
            return not zipfile.is_zipfile(file)
    except OSError:
        return True


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


LOOP_REASON = "a link that leads back to itself"
LOST_REASON = "a link to a file or folder that is not there"
DEEP_REASON = "a folder so deep that its files cannot be named: the system takes paths of 4,095 bytes"
_MAX_PATH = 3_839
"""Bytes of the longest path of a folder that is listed: with a name of 255 bytes, files in it can be opened."""
FOLLOWED_REASON = "a link to a folder that is listed already, or that holds the folder listed: not followed"


def _list_folder(path: Path, links: _FollowedLinks) -> Iterator[ListedFile]:
    # Not recursive: folders may be nested deeper than calls may.
    waiting = [("", iter(_scan_folder(path)))]
    while waiting:
        inside, entries = waiting[-1]
        entry = next(entries, None)
        if entry is None:
            waiting.pop()
            continue
        member = inside + entry.name
        if not _is_folder(entry):
            yield _stat_file(entry, member)
        elif len(os.fsencode(entry.path)) > _MAX_PATH:
            yield ListedFile(member, 0, None, 0, problem=DEEP_REASON)
        elif not entry.is_symlink() or links.should_follow(Path(entry.path)):
            waiting.append((f"{member}/", iter(_scan_folder(Path(entry.path)))))
        else:
            yield ListedFile(member, 0, None, 0, problem=FOLLOWED_REASON)


def _scan_folder(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot list the folder ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _stat_file(entry: os.DirEntry[str] | Path, member: str) -> ListedFile:
    """Return a file's size and time of change; zeros if they cannot be read: reading the file will say why."""
    try:
        status = entry.stat()
    except OSError as problem:
        return ListedFile(member, 0, None, 0, problem=LOOP_REASON if problem.errno == errno.ELOOP else LOST_REASON)
    return ListedFile(member, status.st_size, None, status.st_mtime_ns, status.st_ctime_ns)


_MAX_DIRECTORY_BYTES = 2**28
"""The largest directory of an archive that is read: 256 MiB. That of NTU RGB+D 120's 114,480 files takes 9 MB."""


class _BoundedReader:
    """A file of which nothing large is read at once: zipfile reads a directory of any size that an archive claims.

    Args:
        file: open for reading.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: more are asked for than the largest directory has.
        """
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise ValueError(f"it claims a directory of {size:,} bytes, at most {_MAX_DIRECTORY_BYTES:,} are read")
        return self._file.read(size)


def _list_archive(path: StoragePath) -> Iterator[ListedFile]:
    try:
        modified = modification_token(path)
        with open_binary(path) as file, zipfile.ZipFile(cast("IO[bytes]", _BoundedReader(file))) as archive:
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
    return (_archive_member(path, member, modified) for member in members if not member.is_dir())


def _archive_member(path: StoragePath, member: zipfile.ZipInfo, modified: int) -> ListedFile:
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
    if max(member.file_size, member.compress_size, member.header_offset) > _MAX_BYTES or member.header_offset < 0:
        raise RawInputError(
            f"{path}: its directory gives member {printable(member.filename)} a size or place that no file has",
            remedy="The archive is damaged: fetch it again.",
        )
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    entry = ArchiveEntry(member.CRC, member.header_offset, member.compress_size, deflated)
    return ListedFile(member.filename, member.file_size, entry, 0, modified)


def _escapes_archive(member: str) -> bool:
    name = member.replace("\\", "/")
    return name.startswith("/") or name[1:3] == ":/" or (".." in name and ".." in name.split("/"))
