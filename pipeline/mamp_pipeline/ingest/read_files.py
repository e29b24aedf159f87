"""Raw files to cleaned clips, file by file, for an ingest or without any store."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from mamp_pipeline.cleaning.policy_diff import find_changing_fields
from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawClip
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.datasets.io.read import prefetch
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import plan_parts
from mamp_schemas.errors import RawFileError, RawInputError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, QuarantinedFile

logger = logging.getLogger(__name__)


@dataclass
class SourceClips:
    """What raw files gave.

    Attributes:
        clips: in order of id.
        quarantined: files, and labels in them, that gave no clip.
        counts: clips that a policy's field touches, and what `NOTES` names.
    """

    clips: list[tuple[ClipInfo, Clip]] = field(default_factory=list)
    quarantined: list[QuarantinedFile] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def read_clips(source: RawSource, reader: DatasetReader, policy: IngestPolicy, result: SourceClips) -> None:
    """Read, parse and clean a raw file's clips; what cannot become a clip is quarantined.

    Args:
        source: the file.
        reader: its dataset's.
        policy: how bodies become a clip.
        result: what the file gives is added to it.
    """
    try:
        raw_clips = reader.open(source)
    except RawFileError as problem:
        result.quarantined.append(_quarantine(source, problem))
        return
    for raw in raw_clips:
        try:
            _add_clip(raw, reader, policy, result)
        except RawFileError as problem:
            result.quarantined.append(_quarantine(raw.source, problem))


def _add_clip(raw: RawClip, reader: DatasetReader, policy: IngestPolicy, result: SourceClips) -> None:
    if isinstance(raw.content, RawFileError):
        raise raw.content
    make = partial(reader.clean, raw.content)
    clip = make(policy)
    if clip is None:
        result.counts["all_zero"] += 1
        return
    result.clips.append((raw.info, clip))
    result.counts.update(find_changing_fields(make, policy, reader.options))
    result.counts.update(reader.cleaning_notes(raw.content, policy))


def _quarantine(source: RawSource, problem: RawFileError) -> QuarantinedFile:
    return QuarantinedFile(file=source.portable_path, line=problem.line, reason=problem.reason)


@dataclass(frozen=True, slots=True)
class FileClips:
    """What one raw file gave.

    Attributes:
        source: the file.
        clips: in order of id; several where it is a video.
        problems: why it, or labels of it, gave no clip; their files as the user named them.
    """

    source: RawSource
    clips: Sequence[tuple[ClipInfo, Clip]]
    problems: Sequence[QuarantinedFile]


def find_files(paths: Sequence[StoragePath], reader: DatasetReader) -> list[RawSource]:
    """List the raw files of a dataset, sorted by id; those of another dataset are left out, and counted aloud.

    Args:
        paths: single files, folders and zip archives.
        reader: the dataset's.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    found, title = find_sources(paths, reader), reader.options.title
    if not found.sources:
        raise RawInputError(
            f"none of the {found.foreign:,} raw files is one of {title}",
            remedy="Name files of the dataset that the recipe is for.",
        )
    if found.foreign:
        logger.info(f"{found.foreign:,} files of the same form do not belong to {title}: left out")
    return found.sources


def read_files(sources: Sequence[RawSource], reader: DatasetReader, policy: IngestPolicy) -> Iterator[FileClips]:
    """Read raw files one after the other; of files in buckets, one part of an ingest is held in memory at a time.

    Args:
        sources: sorted by id.
        reader: their dataset's.
        policy: how bodies become a clip.
    """
    for part in plan_parts(sources):
        with prefetch(part.sources):
            for source in part.sources:
                result = SourceClips()
                read_clips(source, reader, policy, result)
                yield FileClips(source, result.clips, list(_list_problems(source, result)))


def _list_problems(source: RawSource, result: SourceClips) -> Iterator[QuarantinedFile]:
    places = {file.portable_path: file.location for file in source.files}
    for fault in result.quarantined:
        yield fault.replaced(file=places[fault.file])
    empty = result.counts["all_zero"]
    if empty:
        yield QuarantinedFile(file=source.location, line=0, reason=f"{empty} {NOTE_DESCRIPTIONS['all_zero']}")
