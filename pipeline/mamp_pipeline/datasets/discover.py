"""Finds the raw files of a dataset among all files of folders, zip archives and buckets, and reads exclude lists."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import splitext

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.file_names import is_archive, strip_suffix
from mamp_pipeline.datasets.io.listing import list_path
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawInputError, printable
from mamp_schemas.io.regular_files import LIST_BYTES, read_regular
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.store import LeftOutFiles, QuarantinedFile

logger = logging.getLogger(__name__)


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
    rejected = list(dict.fromkeys(rejected))  # a file and its folder may both be named
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
            f"{count:,} {'file that looks' if count == 1 else 'files that look'} like raw files "
            f"{'is' if count == 1 else 'are'} left out; the first is {first.files[0]}: {first.reason}"
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
    each = {(file.container, file.member): file for file in readable}  # a file and its folder may both be named
    sources, unused = reader.collect_unnamed(each.values())
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
        container, named, files = list_path(path, self._reader.suffix)
        if named:
            self._named.add((container, path.name))
        for member, size, entry, modified, changed, problem in files:
            self.suffixes[splitext(member)[1] or "(no suffix)"] += 1
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
        what = "1 line names" if len(skipped) == 1 else f"{len(skipped):,} lines name"
        logger.warning(
            f"{path.name}: {what} no clip of {reader.options.title}: skipped, the first is "
            f"'{printable(skipped[0][:_QUOTED])}'"
        )
    return ids


_QUOTED = 60
"""Characters of a line that messages quote."""


def _nothing_found_error(
    paths: Sequence[StoragePath], reader: DatasetReader, suffixes: Counter[str], left_out: Sequence[str]
) -> RawInputError:
    found = ", ".join(f"{count} {printable(suffix)}" for suffix, count in suffixes.most_common(5))
    remedy = "Name the folders or zip archives (archives inside folders are not opened) that hold the raw files."
    likely = next((suffix for suffix, _ in suffixes.most_common() if re.fullmatch(r"\.\w+", suffix)), None)
    if reader.options.name == "custom" and likely:
        remedy += (
            f" If those that end in {likely} are recordings of this format, put `suffix: {likely}` into its files."
        )
    return RawInputError(
        "\n".join(
            (
                f"no raw file of {reader.options.title} in {printable(', '.join(map(str, paths)))}: "
                f"looked for {reader.name_pattern}, found {found or 'no files at all'}",
                *left_out,
            )
        ),
        remedy=remedy,
    )
