"""From one raw file to its clips: read, cleaned, and counted by what the policy changed in them."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from mamp_pipeline.clean.clip import make_clip
from mamp_pipeline.clean.instance import make_segment_clip, segment_notes
from mamp_pipeline.clean.touched import find_changing_fields
from mamp_pipeline.raw.bodies import Clip, ClipInfo, RawBodies, RawClip, RawSegment
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.formats import RawFormat
from mamp_schemas.datasets import DatasetSpec
from mamp_schemas.errors import RawFileError
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.skeleton import Skeleton
from mamp_schemas.store import QuarantinedFile


@dataclass
class SourceClips:
    """What raw files gave.

    Attributes:
        clips: in order of id.
        quarantined: files, and labels in them, that gave no clip.
        tally: clips that a policy's field touches, and what `NOTES` names.
    """

    clips: list[tuple[ClipInfo, Clip]] = field(default_factory=list)
    quarantined: list[QuarantinedFile] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def read_clips(source: RawSource, file_format: RawFormat, dataset: DatasetSpec, policy: IngestPolicy, result: SourceClips) -> None:
    """Read, parse and clean a raw file's clips; what cannot become a clip is quarantined.

    Args:
        source: the file.
        form: its format.
        spec: its dataset.
        policy: how bodies become a clip.
        found: what the file gives is added to it.
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
