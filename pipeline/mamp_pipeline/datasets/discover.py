"""Finds the raw files of a dataset in folders and zip archives, and reads exclude lists."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mamp_pipeline.datasets.io.listing import ListedFile, list_file, list_files
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.datasets.pku.dataset import VIDEO_SUFFIX, Phase
from mamp_pipeline.datasets.pku.discover import find_videos
from mamp_pipeline.datasets.raw_format import RawFormat
from mamp_pipeline.datasets.registry import RAW_FORMATS, belongs_to, raw_format
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.storage import is_file
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.dataset import DatasetName
from mamp_schemas.models.layout import Layout, dataset_spec

logger = logging.getLogger(__name__)


_ARCHIVE = ".zip"


def find_sources(paths: Sequence[StoragePath], dataset: DatasetName, layout: Layout | None = None) -> list[RawSource]:
    """List the raw files that bear a name of the dataset's form, sorted by clip id, or by that of their video.

    Clips of a sister dataset in the same format are listed too: `belongs` tells them apart.

    Args:
        paths: folders, searched recursively, zip archives, and single raw files; of PKU-MMD split lists as well.
        dataset: whose files to look for.
        layout: of own recordings.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    wanted = raw_format(dataset, layout)
    others: Counter[str] = Counter()
    if dataset == "pku1" or dataset == "pku2":
        found = _find_videos(paths, dataset, others)
    else:
        found = _find_clips(paths, wanted, others)
    if not found:
        raise _nothing_found_error(paths, dataset_spec(dataset, layout).title, wanted.name_pattern, others)
    if others[_ARCHIVE]:
        logger.warning(
            f"{others[_ARCHIVE]:,} zip archives inside --raw are not opened: name each as a --raw of its own, "
            "if what it holds is not there unpacked"
        )
    return found


def _find_clips(paths: Sequence[StoragePath], file_format: RawFormat, other_suffixes: Counter[str]) -> list[RawSource]:
    """Find the files of a format, each a clip; count the suffixes of all others."""
    found: dict[str, RawSource] = {}
    for container, file in _list_all(paths, file_format.suffix):
        info = file_format.parse_path(file.member)
        if info is None:
            other_suffixes[_suffix(file.member)] += 1
            continue
        source = RawSource(info.id, container, *file)
        first = found.setdefault(info.id, source)
        if first is not source:
            raise RawInputError(
                f"clip {info.id} is there twice: {first.location} and {source.location}",
                remedy="Name each clip's folder or archive once.",
            )
    return [found[key] for key in sorted(found)]


def _find_videos(paths: Sequence[StoragePath], phase: Phase, other_suffixes: Counter[str]) -> list[RawSource]:
    """Find a phase's videos; count the suffixes of all files."""
    files = [RawSource("", container, *file) for container, file in _list_all(paths, VIDEO_SUFFIX)]
    other_suffixes.update(_suffix(file.member) for file in files)
    return find_videos(files, phase)


def _list_all(paths: Sequence[StoragePath], suffix: str) -> Iterator[tuple[StoragePath, ListedFile]]:
    """List the files of folders and archives with these, and single files of a suffix with their folder."""
    for path in paths:
        if path.suffix == suffix and is_file(path):
            yield path.parent, list_file(path)
        else:
            yield from ((path, file) for file in list_files(path))


def _suffix(member: str) -> str:
    return PurePosixPath(member).suffix or "(no suffix)"


def drop_other_datasets(
    sources: Sequence[RawSource], dataset: DatasetName, layout: Layout | None = None
) -> list[RawSource]:
    """Return the sources without those of a sister dataset in the same format."""
    form = raw_format(dataset, layout)
    return [source for source in sources if (info := form.parse_path(source.member)) and belongs_to(dataset, info)]


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
        raise RawInputError(
            f"{path}: cannot read the exclude list ({problem.strerror})", remedy="Check --exclude."
        ) from None
    names = (line.strip() for line in lines)
    formats = [raw_format("custom", layout)] if layout else [*RAW_FORMATS.values()]
    infos = (one.parse_path(name.removesuffix(one.suffix) + one.suffix) for name in names if name for one in formats)
    ids = frozenset(info.id for info in infos if info is not None)
    if not ids:
        raise RawInputError(
            f"{path}: no clip name in its {len(lines)} lines",
            remedy="An exclude list names one clip a line, such as S001C002P005R002A008.",
        )
    return ids


def _nothing_found_error(
    paths: Sequence[StoragePath], title: str, form: str, other_suffixes: Counter[str]
) -> RawInputError:
    instead = ", ".join(f"{count} {suffix}" for suffix, count in other_suffixes.most_common(5)) or "no files at all"
    return RawInputError(
        f"no raw file of {title} in {', '.join(map(str, paths))}: looked for {form}, found {instead}",
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
