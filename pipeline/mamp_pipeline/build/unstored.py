"""Clips straight from raw files, without a store between: read and cleaned as an ingest does, file by file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mamp_pipeline.build.clips import SourceClips, read_clips
from mamp_pipeline.build.plan import plan_parts
from mamp_pipeline.raw.ahead import prefetch
from mamp_pipeline.raw.bodies import Clip, ClipInfo
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.formats import raw_format
from mamp_pipeline.raw.sources import drop_other_datasets, find_sources
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import RawInputError
from mamp_schemas.layout import Layout, dataset_spec
from mamp_schemas.places import StoragePath
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.progress import Progress
from mamp_schemas.store import NOTE_DESCRIPTIONS, QuarantinedFile


@dataclass(frozen=True, slots=True)
class FileClips:
    """What one raw file gave.

    Attributes:
        source: the file.
        clips: in order of id; several where it is a video.
        faults: why it, or labels of it, gave no clip; their files as the user named them.
    """

    source: RawSource
    clips: Sequence[tuple[ClipInfo, Clip]]
    problems: Sequence[QuarantinedFile]


def find_files(
    paths: Sequence[StoragePath], dataset: DatasetName, layout: Layout | None, progress: Progress
) -> list[RawSource]:
    """List the raw files of a dataset, sorted by id; those of a sister dataset are left out, and told of.

    Args:
        paths: single files, folders and zip archives.
        dataset: whose files to look for.
        layout: of own recordings.
        progress: is told what is left out.

    Raises:
        RawInputError: a path is missing or unreadable, nothing was found, or a clip was found twice.
    """
    found = find_sources(paths, dataset, layout, progress)
    own, title = drop_other_datasets(found, dataset, layout), dataset_spec(dataset, layout).title
    if not own:
        raise RawInputError(
            f"none of the {len(found):,} raw files is one of {title}",
            remedy="Name files of the dataset that the recipe is for.",
        )
    if len(own) < len(found):
        progress.message(f"{len(found) - len(own):,} files of the same form do not belong to {title}: left out")
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
