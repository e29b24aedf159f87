"""Sources: where the raw files of a dataset lie, in folders and zip archives mixed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.formats import RAW_FORMATS, RawFormat
from mamp_pipeline.raw.listing import list_files
from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import RawInputError


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
        for file in list_files(path):
            info = raw_format.info(file.member.rpartition("/")[2])
            if info is None:
                others[PurePosixPath(file.member).suffix or "(no suffix)"] += 1
                continue
            source = RawSource(info.id, path, *file)
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


def _nothing_found(
    paths: Sequence[Path], dataset: DatasetName, raw_format: RawFormat, others: Counter[str]
) -> RawInputError:
    instead = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "no files at all"
    return RawInputError(
        f"no raw file of {DATASETS[dataset].title} in {', '.join(map(str, paths))}: "
        f"looked for {raw_format.form}, found {instead}",
        remedy="Name the folders or zip archives (archives inside folders are not opened) that hold the raw files.",
    )
