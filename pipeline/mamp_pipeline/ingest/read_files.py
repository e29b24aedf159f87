"""Raw files to cleaned clips, file by file, for an ingest or without any store."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.cleaning.policy_diff import find_changing_fields
from mamp_pipeline.cleaning.video_segment import make_segment_clip, segment_notes
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawBodies, RawClip, RawSegment
from mamp_pipeline.datasets.discover import drop_other_datasets, find_sources
from mamp_pipeline.datasets.io.read import prefetch
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.datasets.raw_format import RawFormat
from mamp_pipeline.datasets.registry import raw_format
from mamp_pipeline.ingest.plan import plan_parts
from mamp_schemas.errors import RawFileError, RawInputError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.dataset import DatasetName, DatasetSpec
from mamp_schemas.models.layout import Layout, dataset_spec
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.skeleton import Skeleton
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


def read_clips(
    source: RawSource, file_format: RawFormat, dataset: DatasetSpec, policy: IngestPolicy, result: SourceClips
) -> None:
    """Read, parse and clean a raw file's clips; what cannot become a clip is quarantined.

    Args:
        source: the file.
        file_format: its format.
        dataset: its dataset.
        policy: how bodies become a clip.
        result: what the file gives is added to it.
    """
    try:
        raw_clips = file_format.open(source)
    except RawFileError as problem:
        result.quarantined.append(_quarantine(source, problem))
        return
    for raw in raw_clips:
        try:
            _add_clip(raw, dataset, policy, result)
        except RawFileError as problem:
            result.quarantined.append(_quarantine(raw.source, problem))


def _add_clip(raw: RawClip, dataset: DatasetSpec, policy: IngestPolicy, result: SourceClips) -> None:
    if isinstance(raw.content, RawFileError):
        raise raw.content
    make = partial(_clean, raw.content, skeleton=dataset.skeleton)
    clip = make(policy)
    if clip is None:
        result.counts["all_zero"] += 1
        return
    result.clips.append((raw.info, clip))
    result.counts.update(find_changing_fields(make, policy, dataset))
    if isinstance(raw.content, RawSegment):
        result.counts.update(segment_notes(raw.content, policy))


def _clean(content: RawBodies | RawSegment, policy: IngestPolicy, skeleton: Skeleton) -> Clip | None:
    if isinstance(content, RawSegment):
        return make_segment_clip(content, policy, skeleton)
    return make_clip(content, policy, skeleton)


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


def find_files(paths: Sequence[StoragePath], dataset: DatasetName, layout: Layout | None) -> list[RawSource]:
    """List the raw files of a dataset, sorted by id; those of a sister dataset are left out, and told of.

    Args:
        paths: single files, folders and zip archives.
        dataset: whose files to look for.
        layout: of own recordings.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    found = find_sources(paths, dataset, layout)
    own, title = drop_other_datasets(found, dataset, layout), dataset_spec(dataset, layout).title
    if not own:
        raise RawInputError(
            f"none of the {len(found):,} raw files is one of {title}",
            remedy="Name files of the dataset that the recipe is for.",
        )
    if len(own) < len(found):
        logger.info(f"{len(found) - len(own):,} files of the same form do not belong to {title}: left out")
    return own


def read_files(
    sources: Sequence[RawSource], dataset: DatasetName, policy: IngestPolicy, layout: Layout | None
) -> Iterator[FileClips]:
    """Read raw files one after the other; of those in buckets, an ingest's part is held at a time.

    Args:
        sources: sorted by id.
        dataset: theirs.
        policy: how bodies become a clip.
        layout: of own recordings.
    """
    spec, form = dataset_spec(dataset, layout), raw_format(dataset, layout)
    for part in plan_parts(sources):
        with prefetch(part.sources):
            for source in part.sources:
                found = SourceClips()
                read_clips(source, form, spec, policy, found)
                yield FileClips(source, found.clips, list(_list_problems(source, found)))


def _list_problems(source: RawSource, result: SourceClips) -> Iterator[QuarantinedFile]:
    places = {file.portable_path: file.location for file in source.files}
    for fault in result.quarantined:
        yield fault.replaced(file=places[fault.file])
    empty = result.counts["all_zero"]
    if empty:
        yield QuarantinedFile(file=source.location, line=0, reason=f"{empty} {NOTE_DESCRIPTIONS['all_zero']}")
