"""Finds the raw files of a dataset in folders, zip archives and buckets, and reads exclude lists.

Listing a container returns all that is needed to read each of its files later.
"""

import logging
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.io.source import ArchiveEntry, RawSource
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.regular_files import LIST_BYTES, read_regular
from mamp_schemas.io.storage import head_object, is_file, list_objects, modification_token, open_binary
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote

logger = logging.getLogger(__name__)

_ARCHIVE = ".zip"
_SUPPORTED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAG = 0x1


class ListedFile(NamedTuple):
    """A listed file.

    Attributes:
        member: path inside the container.
        size: bytes, unpacked.
        entry: where an archive holds it; None in a folder or bucket.
        modified, changed: see `RawSource`.
    """

    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int
    changed: int = 0


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
    return ListedFile(member, status.st_size, None, status.st_mtime_ns, status.st_ctime_ns)


def _list_archive(path: StoragePath) -> Iterator[ListedFile]:
    try:
        modified = modification_token(path)
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
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    entry = ArchiveEntry(member.CRC, member.header_offset, member.compress_size, deflated)
    return ListedFile(member.filename, member.file_size, entry, 0, modified)


def _escapes_archive(member: str) -> bool:
    name = member.replace("\\", "/")
    return name.startswith("/") or name[1:3] == ":/" or (".." in name and ".." in name.split("/"))


@dataclass(frozen=True)
class FoundSources:
    """The sources of a dataset, sorted by id, and how many files of its form belong to another dataset."""

    sources: list[RawSource]
    foreign: int


def find_sources(paths: Sequence[StoragePath], reader: DatasetReader) -> FoundSources:
    """List the raw files of a dataset; those of another dataset with the same form of names are left out and counted.

    Args:
        paths: folders, searched recursively, zip archives, and single raw files.
        reader: the dataset's reader.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    suffixes: Counter[str] = Counter()
    sources = reader.collect(_list_all(paths, reader.suffix, suffixes))
    if not sources:
        raise _nothing_found_error(paths, reader, suffixes)
    if suffixes[_ARCHIVE]:
        logger.warning(
            f"{suffixes[_ARCHIVE]:,} zip archives inside --raw are not opened: name each as a --raw of its "
            "own, if what it holds is not there unpacked"
        )
    reasons = [_why_foreign(source, reader) for source in sources]
    accepted = [source for source, reason in zip(sources, reasons, strict=True) if not reason]
    foreign = len(sources) - len(accepted)
    if foreign:
        first = next(number for number, reason in enumerate(reasons) if reason)
        logger.warning(
            f"{foreign:,} files with names of {reader.options.title}'s form are not its clips: left out; the first "
            f"is {sources[first].file_name}: {reasons[first]}"
        )
    return FoundSources(accepted, foreign)


def _why_foreign(source: RawSource, reader: DatasetReader) -> str:
    info = reader.parse_path(source.member)
    return reader.why_foreign(info) if info else "its name is of another form"


def _list_all(paths: Sequence[StoragePath], suffix: str, suffixes: Counter[str]) -> Iterator[RawSource]:
    """Yield the files of folders and archives, and single files of a suffix with their folder; count suffixes."""
    for path in paths:
        container: StoragePath = path
        files: Iterable[ListedFile]
        if path.suffix == suffix and is_file(path):
            container, files = path.parent, [list_file(path)]
        else:
            files = list_files(path)
        for file in files:
            suffixes[PurePosixPath(file.member).suffix or "(no suffix)"] += 1
            yield RawSource("", container, *file)


def read_exclude_list(path: Path, reader: DatasetReader) -> frozenset[str]:
    """Read a list of clips to leave out, such as NTU's missing-skeleton lists: one name a line.

    Lines that are not a clip's name (a heading, a blank line) are skipped; names may have a raw file's suffix. Own
    recordings are named by their path inside the folder or archive.

    Raises:
        RawInputError: the file cannot be read, or names no clip of the dataset.
    """
    try:
        lines = read_regular(path, LIST_BYTES).decode("utf-8-sig", errors="replace").splitlines()
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot read the exclude list ({problem.strerror})", remedy="Check --exclude."
        ) from None
    names = (line.strip() for line in lines)
    infos = (reader.parse_path(name.removesuffix(reader.suffix) + reader.suffix) for name in names if name)
    ids = frozenset(info.id for info in infos if info is not None)
    if not ids:
        form = reader.name_pattern.removesuffix(reader.suffix)
        raise RawInputError(
            f"{path}: no clip name in its {len(lines)} lines",
            remedy=f"An exclude list names one clip of {reader.options.title} a line, such as {form}.",
        )
    return ids


def _nothing_found_error(paths: Sequence[StoragePath], reader: DatasetReader, suffixes: Counter[str]) -> RawInputError:
    instead = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5)) or "no files at all"
    return RawInputError(
        f"no raw file of {reader.options.title} in {', '.join(map(str, paths))}: "
        f"looked for {reader.name_pattern}, found {instead}",
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
