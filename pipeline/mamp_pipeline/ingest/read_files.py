"""Reads raw files into cleaned clips, file by file, for an ingest or without any store."""

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


@dataclass(frozen=True, slots=True)
class FileClips:
    """The clips of one raw file.

    Attributes:
        source: the file.
        clips: in order of id; several where the file is a video.
        quarantined: why the file, or labels of it, gave no clip.
        counts: clips that a field of the policy changes, and what `NOTE_DESCRIPTIONS` names.
    """

    source: RawSource
    clips: list[tuple[ClipInfo, Clip]] = field(default_factory=list)
    quarantined: list[QuarantinedFile] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def problems(self) -> Iterator[QuarantinedFile]:
        """Yield why the file, or labels of it, gave no clip; files are named as the user named them."""
        locations = {file.portable_path: file.location for file in self.source.files}
        for entry in self.quarantined:
            yield entry.replaced(file=locations[entry.file])
        empty = self.counts["all_zero"]
        if empty:
            reason = f"{empty} {NOTE_DESCRIPTIONS['all_zero']}"
            yield QuarantinedFile(file=self.source.location, line=0, reason=reason)


def read_file(source: RawSource, reader: DatasetReader, policy: IngestPolicy) -> FileClips:
    """Read, parse and clean the clips of a raw file; what cannot become a clip is quarantined.

    Args:
        source: the file.
        reader: its dataset's reader.
        policy: how bodies become a clip.
    """
    result = FileClips(source)
    try:
        raw_clips = reader.open(source)
    except RawFileError as problem:
        result.quarantined.append(_quarantine(source, problem))
        return result
    for raw in raw_clips:
        try:
            _clean(raw, reader, policy, result)
        except RawFileError as problem:
            result.quarantined.append(_quarantine(raw.source, problem))
    return result


def _clean(raw: RawClip, reader: DatasetReader, policy: IngestPolicy, result: FileClips) -> None:
    if isinstance(raw.content, RawFileError):
        raise raw.content
    make_clip = partial(reader.clean, raw.content)
    clip = make_clip(policy)
    if clip is None:
        result.counts["all_zero"] += 1
        return
    result.clips.append((raw.info, clip))
    result.counts.update(find_changing_fields(make_clip, policy, reader.options))
    result.counts.update(reader.cleaning_notes(raw.content, policy))


def _quarantine(source: RawSource, problem: RawFileError) -> QuarantinedFile:
    return QuarantinedFile(file=source.portable_path, line=problem.line, reason=problem.reason)


def find_files(paths: Sequence[StoragePath], reader: DatasetReader) -> list[RawSource]:
    """List the raw files of a dataset, sorted by id.

    Args:
        paths: single files, folders and zip archives.
        reader: the dataset's reader.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    found = find_sources(paths, reader)
    if not found.sources:
        raise RawInputError(
            f"none of the {found.foreign:,} raw files is one of {reader.options.title}",
            remedy="Name files of the dataset that the recipe is for.",
        )
    return found.sources


def read_files(sources: Sequence[RawSource], reader: DatasetReader, policy: IngestPolicy) -> Iterator[FileClips]:
    """Read raw files one after the other; of files in buckets, one part of an ingest is held in memory at a time.

    Args:
        sources: sorted by id.
        reader: their dataset's reader.
        policy: how bodies become a clip.
    """
    for part in plan_parts(sources):
        with prefetch(part.sources):
            for source in part.sources:
                yield read_file(source, reader, policy)
