"""Reads raw files into cleaned clips, file by file, for an ingest or without any store."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.plausibility import sample_records
from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawBodies, RawClip
from mamp_pipeline.datasets.io.read import prefetch
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import plan_parts
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import IngestPolicy, single_field_deviations
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, QuarantinedFile


@dataclass(frozen=True, slots=True)
class FileClips:
    """The clips of one raw file.

    Attributes:
        source: the file.
        clips: in order of id; several where the file is a video.
        quarantined: why the file, or labels of it, gave no clip.
        counts: clips that a field of the policy changes, and what `NOTE_DESCRIPTIONS` names.
        samples: of each clip, records to measure.
    """

    source: RawSource
    clips: list[tuple[ClipInfo, Clip]] = field(default_factory=list)
    quarantined: list[QuarantinedFile] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[NDArray[np.float32]] = field(default_factory=list)

    def problems(self) -> Iterator[QuarantinedFile]:
        """Yield why the file, or labels of it, gave no clip; files are named as the user named them."""
        locations = {file.portable_path: file.location for file in self.source.files}
        for entry in self.quarantined:
            yield entry.replaced(file=locations[entry.file])
        empty = self.counts["all_zero"]
        if empty:
            reason = f"{empty} {NOTE_DESCRIPTIONS['all_zero']}"
            yield QuarantinedFile(file=self.source.location, line=0, reason=reason)


OpenFile = Callable[[RawSource], list[RawClip]]


def read_file(source: RawSource, open_file: OpenFile, reader: DatasetReader, policy: IngestPolicy) -> FileClips:
    """Read, parse and clean the clips of a raw file; what cannot become a clip is quarantined.

    Args:
        source: the file.
        open_file: the reader's `open`, or `open_unnamed` for files of any name.
        reader: its dataset's reader.
        policy: how bodies become a clip.
    """
    result = FileClips(source)
    try:
        raw_clips = open_file(source)
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
    # Of body records any is measured, before cleaning: what is at (0, 0, 0) in the file is not there afterwards.
    joints = raw.content.joints if isinstance(raw.content, RawBodies) else clip.joints[0]
    result.samples.append(sample_records(joints))
    result.counts["empty_body"] += is_empty_body(clip)
    if isinstance(raw.content, RawBodies) and raw.content.bodies_left:
        result.counts["bodies_left"] += 1
        result.counts["frames_left"] += raw.content.frames_left
    result.counts.update(find_changing_fields(make_clip, policy, reader.options))
    result.counts.update(reader.cleaning_notes(raw.content, policy))


def is_empty_body(clip: Clip) -> bool:
    """Return whether a clip has a second body that is zeros throughout: several ids that joined the first."""
    return len(clip.joints) > 1 and not clip.joints[1].any()


def _quarantine(source: RawSource, problem: RawFileError) -> QuarantinedFile:
    return QuarantinedFile(file=source.portable_path, line=problem.line, reason=problem.reason)


def read_files(sources: Sequence[RawSource], reader: DatasetReader, policy: IngestPolicy) -> Iterator[FileClips]:
    """Read raw files of any name one after the other; what names and folders say about clips is not looked at.

    Of files in buckets, one part of an ingest is held in memory at a time.

    Args:
        sources: as `find_unnamed` lists them.
        reader: their dataset's reader.
        policy: how bodies become a clip.
    """
    for part in plan_parts(sources):
        with prefetch(part.sources):
            for source in part.sources:
                yield read_file(source, reader.open_unnamed, reader, policy)


MakeClip = Callable[[IngestPolicy], Clip | None]


def find_changing_fields(make: MakeClip, policy: IngestPolicy, dataset: DatasetSpec) -> Iterator[str]:
    """Yield the fields in which a policy differs from `paper` and that, changed alone, change the clip.

    A clip is compared as a reader gets it: both slots and the number of valid frames. A clip that exists only under
    `paper`, or only with the field changed, counts as changed.

    Args:
        make: makes the clip under a policy; raises RawFileError or returns None where there is none.
        policy: the policy in use.
        dataset: the dataset whose `paper` policy it is compared with.
    """
    deviations = single_field_deviations(policy, dataset.paper_policy)
    if not deviations:
        return
    paper = _try_make(make, dataset.paper_policy)
    for name, alone in deviations.items():
        if name == "empty_slot":
            changes = paper is not None and len(paper.joints) < dataset.bodies
        else:
            changes = not _same_clip(paper, _try_make(make, alone))
        if changes:
            yield name


def _try_make(make: MakeClip, policy: IngestPolicy) -> Clip | None:
    try:
        return make(policy)
    except RawFileError:
        return None


def _same_clip(first: Clip | None, second: Clip | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.valid_frames == second.valid_frames and np.array_equal(first.joints, second.joints)
