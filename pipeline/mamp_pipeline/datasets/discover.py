"""Finds the raw files of a dataset in folders and zip archives, and reads exclude lists."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.io.listing import ListedFile, list_file, list_files
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.storage import is_file
from mamp_schemas.io.storage_path import StoragePath

logger = logging.getLogger(__name__)

_ARCHIVE = ".zip"


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
    infos = ((source, reader.parse_path(source.member)) for source in sources)
    belonging = [source for source, info in infos if info and reader.belongs(info)]
    foreign = len(sources) - len(belonging)
    if foreign and belonging:
        logger.info(f"{foreign:,} files of the same form do not belong to {reader.options.title}: left out")
    return FoundSources(belonging, foreign)


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
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
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
