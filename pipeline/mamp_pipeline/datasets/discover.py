"""Finds the raw files of a dataset in folders, zip archives and buckets, and reads exclude lists.

Listing a container returns all that is needed to read each of its files later.
"""

import errno
import logging
import os
import stat
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.file_names import is_archive, printable, strip_suffix
from mamp_pipeline.datasets.io.source import ArchiveEntry, RawSource
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.regular_files import LIST_BYTES, read_regular
from mamp_schemas.io.storage import head_object, list_objects, modification_token, open_binary
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath, is_remote
from mamp_schemas.models.store import LeftOutFiles, QuarantinedFile

logger = logging.getLogger(__name__)

_SUPPORTED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAG = 0x1


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
    except OSError as problem:
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


LOOP_REASON = "a link that leads back to itself"
LOST_REASON = "a link to no file"
FOLLOWED_REASON = "a link to a folder that is listed already, or that holds the folder listed: not followed"


def _list_folder(path: Path, links: _FollowedLinks, inside: str = "") -> Iterator[ListedFile]:
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot list the folder ({problem.strerror})", remedy="Make it readable, or name another folder."
        ) from None
    for entry in listed:
        member = inside + entry.name
        if not _is_folder(entry):
            yield _stat_file(entry, member)
        elif not entry.is_symlink() or links.should_follow(Path(entry.path)):
            yield from _list_folder(Path(entry.path), links, f"{member}/")
        else:
            yield ListedFile(member, 0, None, 0, problem=FOLLOWED_REASON)


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
    """The files of raw input.

    Attributes:
        sources: the dataset's files, sorted by id.
        foreign: how many files of folders and archives belong to another dataset with the same form of names.
        left_out: files of folders and archives that look like raw files, and why they are none, by reason.
        rejected: files that were named and are not the dataset's.
        other: how many other files folders and archives hold.
    """

    sources: list[RawSource]
    foreign: int = 0
    left_out: tuple[LeftOutFiles, ...] = ()
    rejected: tuple[QuarantinedFile, ...] = ()
    other: int = 0


def find_sources(paths: Sequence[StoragePath], reader: DatasetReader) -> FoundSources:
    """List the raw files of a dataset; those of another dataset with the same form of names are left out and counted.

    Args:
        paths: folders, searched recursively, zip archives, and single raw files.
        reader: the dataset's reader.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    listing = _Listing(reader)
    sources, unused = reader.collect(file for path in paths for file in listing.list_path(path))
    left_out: dict[str, list[str]] = defaultdict(list)
    rejected: list[QuarantinedFile] = []
    other = 0
    for file, problem in unused:
        reason = problem or listing.explain(file)
        if listing.is_named(file):
            rejected.append(_reject(file, reason or f"its name is not of the form {reader.name_pattern}"))
        elif reason:
            left_out[reason].append(file.portable_path)
        else:
            other += 1
    groups = tuple(LeftOutFiles(reason=reason, files=tuple(sorted(left_out[reason]))) for reason in sorted(left_out))
    if not sources:
        raise _nothing_found_error(paths, reader, listing.suffixes, [*_describe_groups(groups), *_describe(rejected)])
    accepted: list[RawSource] = []
    foreign: list[tuple[RawSource, str]] = []
    for source in sources:
        reason = _why_foreign(source, reader)
        if not reason:
            accepted.append(source)
        elif listing.is_named(source):
            rejected.append(_reject(source, f"no clip of {reader.options.title}: {reason}"))
        else:
            foreign.append((source, reason))
    if foreign:
        logger.warning(
            f"{len(foreign):,} files with names of {reader.options.title}'s form are not its clips: left out; the "
            f"first is {foreign[0][0].file_name}: {foreign[0][1]}"
        )
    if groups:
        count, first = sum(len(group.files) for group in groups), groups[0]
        logger.warning(
            f"{count:,} files that look like raw files are left out; the first is {first.files[0]}: {first.reason}"
        )
    for line in _describe(rejected):
        logger.warning(line)
    return FoundSources(accepted, len(foreign), groups, tuple(rejected), other)


def _why_foreign(source: RawSource, reader: DatasetReader) -> str:
    info = reader.parse_path(source.member)
    return reader.why_foreign(info) if info else "its name is of another form"


@dataclass(frozen=True)
class FoundFiles:
    """Raw files of any name.

    Attributes:
        sources: the files, sorted by id; several may have one id.
        problems: files and paths that cannot be read at all, and why, as the user named them.
        other: how many files of folders and archives do not look like raw files.
    """

    sources: list[RawSource]
    problems: list[QuarantinedFile]
    other: int


def find_unnamed(paths: Sequence[StoragePath], reader: DatasetReader) -> FoundFiles:
    """List raw files in a dataset's format, whatever their names.

    Every file that is named is listed, and of folders and archives those that look like raw files.

    Args:
        paths: files, folders, searched recursively, and zip archives.
        reader: the dataset's reader.

    Raises:
        RawInputError: there is no such file, or none of the paths can be read.
    """
    listing = _Listing(reader)
    readable: list[RawSource] = []
    problems: list[QuarantinedFile] = []
    failed: list[RawInputError] = []
    other = 0
    for path in paths:
        try:
            files = list(listing.list_path(path))
        except RawInputError as problem:
            failed.append(problem)
            problems.append(QuarantinedFile(file=printable(str(path)), line=0, reason=problem.message))
            continue
        for file in files:
            reason = listing.explain(file)
            packed = is_archive(file.file_name) and strip_suffix(file.file_name, reader.suffix) is None
            if listing.is_named(file) or reader.parse_path(file.member):
                readable.append(file)
            elif reason and (listing.has_problem(file) or packed):
                problems.append(QuarantinedFile(file=file.location, line=0, reason=reason))
            elif reason:
                readable.append(file)
            else:
                other += 1
    sources, unused = reader.collect_unnamed(readable)
    problems += [QuarantinedFile(file=file.location, line=0, reason=reason) for file, reason in unused if reason]
    if failed and len(failed) == len(problems) and not sources:
        raise failed[0]
    if not sources and not problems:
        raise _nothing_found_error(paths, reader, listing.suffixes, [])
    return FoundFiles(sorted(sources, key=lambda file: (file.id, file.location)), problems, other)


class _Listing:
    """Lists the files of paths, and remembers which were named and which are no files.

    Args:
        reader: the reader of the dataset looked for.

    Attributes:
        suffixes: how many files have which suffix.
    """

    def __init__(self, reader: DatasetReader) -> None:
        self._reader = reader
        self._named: set[tuple[StoragePath, str]] = set()
        self._problems: dict[tuple[StoragePath, str], str] = {}
        self.suffixes: Counter[str] = Counter()

    def list_path(self, path: StoragePath) -> Iterator[RawSource]:
        """Yield the files of a folder or archive, or a single file with its folder."""
        container: StoragePath = path
        files: Iterable[ListedFile]
        if _is_single_file(path, self._reader.suffix):
            container, files = path.parent, [list_file(path)]
            self._named.add((container, path.name))
        else:
            files = list_files(path)
        for member, size, entry, modified, changed, problem in files:
            self.suffixes[PurePosixPath(member).suffix or "(no suffix)"] += 1
            if problem:
                self._problems[container, member] = problem
            yield RawSource("", container, member, size, entry, modified, changed)

    def is_named(self, file: RawSource) -> bool:
        """Return whether the user named the file itself, not only what holds it."""
        return (file.container, file.member) in self._named

    def has_problem(self, file: RawSource) -> bool:
        """Return whether it is no file that can be read."""
        return (file.container, file.member) in self._problems

    def explain(self, file: RawSource) -> str | None:
        """Return why an unused file is left out; None for a file that does not look like a raw file."""
        return self._problems.get((file.container, file.member)) or self._reader.explain_left_out(file.member)


def _is_single_file(path: StoragePath, suffix: str) -> bool:
    """Return whether a path is neither a folder nor an archive; a path that cannot be reached is none."""
    try:
        if is_remote(path):
            if head_object(path) is None:
                return False
        else:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                return False
            if not stat.S_ISREG(mode):
                return True
        if strip_suffix(path.name, suffix) is not None:
            return True
        if is_archive(path.name):
            return False
        with open_binary(path) as file:
            return not zipfile.is_zipfile(file)
    except OSError:
        return False


def _reject(file: RawSource, reason: str) -> QuarantinedFile:
    return QuarantinedFile(file=file.portable_path, line=0, reason=reason)


_MAX_LINES = 5
"""The most files, or reasons, that messages list."""


def _describe_groups(groups: Sequence[LeftOutFiles]) -> list[str]:
    lines = [line for group in groups[:_MAX_LINES] for line in group.lines(_MAX_LINES)]
    hidden = len(groups) - _MAX_LINES
    return [*lines, f"and more files, for {hidden} other reasons"] if hidden > 0 else lines


def _describe(rejected: Sequence[QuarantinedFile]) -> list[str]:
    lines = [f"not read: {entry.file}: {entry.reason}" for entry in rejected[:_MAX_LINES]]
    hidden = len(rejected) - len(lines)
    return [*lines, f"not read: {hidden:,} more files that were named"] if hidden > 0 else lines


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
    names = [name for line in lines if (name := line.strip())]
    infos = {name: reader.parse_path((strip_suffix(name, reader.suffix) or name) + reader.suffix) for name in names}
    ids = frozenset(info.id for info in infos.values() if info is not None)
    if not ids:
        form = reader.name_pattern.removesuffix(reader.suffix)
        raise RawInputError(
            f"{path}: no clip name in its {len(lines)} lines",
            remedy=f"An exclude list names one clip of {reader.options.title} a line, such as {form}.",
        )
    skipped = [name for name, info in infos.items() if info is None]
    if skipped:
        logger.info(
            f"{path.name}: {len(skipped):,} lines name no clip of {reader.options.title} and are skipped, the first is "
            f"'{printable(skipped[0][:_QUOTED])}'"
        )
    return ids


_QUOTED = 60
"""Characters of a line that messages quote."""


def _nothing_found_error(
    paths: Sequence[StoragePath], reader: DatasetReader, suffixes: Counter[str], left_out: Sequence[str]
) -> RawInputError:
    found = ", ".join(f"{count} {printable(suffix)}" for suffix, count in suffixes.most_common(5))
    return RawInputError(
        "\n".join(
            (
                f"no raw file of {reader.options.title} in {printable(', '.join(map(str, paths)))}: "
                f"looked for {reader.name_pattern}, found {found or 'no files at all'}",
                *left_out,
            )
        ),
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
