"""Sources: where the raw files of a dataset lie, in folders and zip archives mixed."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mamp_pipeline.raw.entries import ArchiveEntry, RawSource
from mamp_pipeline.raw.formats import RAW_FORMATS, RawFormat
from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import RawInputError

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1

_Listed = tuple[str, int, int, ArchiveEntry | None]
"""A file: path inside the container, bytes, time of writing (0 in an archive), place in an archive."""


def find_sources(paths: Sequence[Path], dataset: DatasetName) -> list[RawSource]:
    """List the raw files that bear a name of the dataset's form, sorted by clip id.

    Clips of a sister dataset in the same format are listed too: `belongs` tells them apart.

    Args:
        paths: folders, searched recursively, and zip archives.
        dataset: whose files to look for.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    raw_format = RAW_FORMATS[dataset]
    found: dict[str, RawSource] = {}
    others: Counter[str] = Counter()
    for path in paths:
        for member, size, modified, entry in _list_files(path):
            info = raw_format.info(member.rpartition("/")[2])
            if info is None:
                others[PurePosixPath(member).suffix or "(no suffix)"] += 1
                continue
            source = RawSource(info.id, path, member, size, entry, modified)
            first = found.setdefault(info.id, source)
            if first is not source:
                raise RawInputError(
                    f"clip {info.id} is there twice: {first.place} and {source.place}",
                    remedy="Name each clip's folder or archive once.",
                )
    if not found:
        raise _nothing_found(paths, dataset, raw_format, others)
    return [found[key] for key in sorted(found)]


def read_exclude_list(path: Path) -> frozenset[str]:
    """Read a list of clips to leave out, such as NTU's missing-skeleton lists: one name a line.

    Lines that are not a clip's name (a heading, a blank line) are passed over; a raw file's suffix may stand.

    Raises:
        RawInputError: the file cannot be read, or names no clip.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as problem:
        raise RawInputError(
            f"{path}: cannot read the exclude list ({problem.strerror})", remedy="Check --exclude."
        ) from None
    names = (line.strip() for line in lines)
    infos = (
        raw_format.info(name.removesuffix(raw_format.suffix) + raw_format.suffix)
        for name in names
        for raw_format in RAW_FORMATS.values()
    )
    ids = frozenset(info.id for info in infos if info is not None)
    if not ids:
        raise RawInputError(
            f"{path}: no clip name in its {len(lines)} lines",
            remedy="An exclude list names one clip a line, such as S001C002P005R002A008.",
        )
    return ids


def _list_files(path: Path) -> Iterator[_Listed]:
    if path.is_dir():
        return _list_folder(path)
    if not path.exists():
        raise RawInputError(f"{path}: no such folder or archive", remedy="Check the path given as --raw.")
    return _list_archive(path)


def _list_folder(path: Path) -> Iterator[_Listed]:
    def refuse(problem: OSError) -> None:
        raise RawInputError(
            f"{problem.filename}: cannot list the folder ({problem.strerror})",
            remedy="Make it readable, or name another folder.",
        ) from None

    for folder, _, names in os.walk(path, onerror=refuse):
        for name in names:
            file = Path(folder, name)
            yield file.relative_to(path).as_posix(), *_measure(file), None


def _measure(file: Path) -> tuple[int, int]:
    """Return a file's size and time of writing; 0 where they cannot be had, for reading it will say why."""
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


def _list_archive(path: Path) -> Iterator[_Listed]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as problem:
        raise RawInputError(
            f"{path}: neither a folder nor a readable zip archive ({problem})",
            remedy="Fetch the archive again, or unpack it and name the folder.",
        ) from None
    for member in members:
        if member.is_dir():
            continue
        if member.compress_type not in _READABLE or member.flag_bits & _ENCRYPTED:
            raise RawInputError(
                f"{path}: member {member.filename} is encrypted or packed by method {member.compress_type}, "
                "expected none or deflate",
                remedy="Unpack the archive and name the folder.",
            )
        entry = ArchiveEntry(
            member.CRC, member.header_offset, member.compress_size, member.compress_type == zipfile.ZIP_DEFLATED
        )
        yield member.filename, member.file_size, 0, entry


def _nothing_found(
    paths: Sequence[Path], dataset: DatasetName, raw_format: RawFormat, others: Counter[str]
) -> RawInputError:
    instead = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "no files at all"
    return RawInputError(
        f"no raw file of {DATASETS[dataset].title} in {', '.join(map(str, paths))}: "
        f"looked for {raw_format.form}, found {instead}",
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
