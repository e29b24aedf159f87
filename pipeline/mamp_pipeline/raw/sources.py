"""Sources: where the raw files of a dataset lie, in folders and zip archives mixed."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mamp_pipeline.raw.entries import ArchiveEntry, RawSource
from mamp_pipeline.raw.formats import RAW_FORMATS, RawFormat, raw_format
from mamp_pipeline.raw.pku import SUFFIX
from mamp_pipeline.raw.pku_videos import find_videos
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import RawInputError
from mamp_schemas.layout import Layout, describe_dataset

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1

_Listed = tuple[str, int, ArchiveEntry | None]
"""A file: its path inside the container, its size in bytes, its place in an archive."""


def find_sources(paths: Sequence[Path], dataset: DatasetName, layout: Layout | None = None) -> list[RawSource]:
    """List the raw files that bear a name of the dataset's form, sorted by clip id.

    Clips of a sister dataset in the same format are listed too: `belongs` tells them apart.

    Args:
        paths: folders, searched recursively, and zip archives.
        dataset: whose files to look for.
        layout: of own recordings.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    wanted = raw_format(dataset, layout)
    files = [file for path in paths for file in _list_sources(path, lists=wanted.several)]
    found = find_videos(files, dataset) if dataset in ("pku1", "pku2") else _find_clips(files, wanted)
    if not found:
        raise _nothing_found(paths, describe_dataset(dataset, layout).title, wanted.form, files)
    return found


def _find_clips(files: Iterable[RawSource], wanted: RawFormat) -> list[RawSource]:
    """Return the files of a format, each named by its clip."""
    found: dict[str, RawSource] = {}
    for file in files:
        info = wanted.info(file.member)
        if info is None:
            continue
        source = replace(file, id=info.id)
        first = found.setdefault(info.id, source)
        if first is not source:
            raise RawInputError(
                f"clip {info.id} is there twice: {first.place} and {source.place}",
                remedy="Name each clip's folder or archive once.",
            )
    return [found[key] for key in sorted(found)]


def _list_sources(path: Path, *, lists: bool) -> list[RawSource]:
    """List the files of a folder or archive; where `lists` may be named by themselves, `path` may be one of them."""
    if lists and path.suffix == SUFFIX and path.is_file():
        return [RawSource("", path.parent, path.name, _measure(path), None)]
    return [RawSource("", path, member, size, entry) for member, size, entry in _list_files(path)]


def read_exclude_list(path: Path, layout: Layout | None = None) -> frozenset[str]:
    """Read a list of clips to leave out, such as NTU's missing-skeleton lists: one name a line.

    Lines that are not a clip's name (a heading, a blank line) are passed over; a raw file's suffix may stand. Own
    recordings are named by their path inside the folder or archive.

    Raises:
        RawInputError: the file cannot be read, or names no clip.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as problem:
        raise RawInputError(f"{path}: cannot read the exclude list ({problem.strerror})") from None
    names = (line.strip() for line in lines)
    formats = [raw_format("custom", layout)] if layout else [*RAW_FORMATS.values()]
    infos = (one.info(name.removesuffix(one.suffix) + one.suffix) for name in names if name for one in formats)
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
        raise RawInputError(f"{problem.filename}: cannot list the folder ({problem.strerror})") from None

    for folder, _, names in os.walk(path, onerror=refuse):
        for name in names:
            file = Path(folder, name)
            yield file.relative_to(path).as_posix(), _measure(file), None


def _measure(file: Path) -> int:
    """Return a file's size; 0 where it cannot be had, for reading it will say why."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


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
        yield member.filename, member.file_size, entry


def _nothing_found(paths: Sequence[Path], title: str, form: str, files: Iterable[RawSource]) -> RawInputError:
    others = Counter(PurePosixPath(file.member).suffix or "(no suffix)" for file in files)
    instead = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "no files at all"
    return RawInputError(
        f"no raw file of {title} in {', '.join(map(str, paths))}: looked for {form}, found {instead}",
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
