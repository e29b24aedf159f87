"""From one raw file to its clips: read, cleaned, and counted by what the policy changed in them."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from mamp_pipeline.clean.clip import make_clip
from mamp_pipeline.clean.instance import make_instance, note_cuts
from mamp_pipeline.clean.touched import find_touched
from mamp_pipeline.raw.bodies import Clip, ClipInfo, RawBodies, RawClip, RawInstance
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.formats import RawFormat
from mamp_schemas.datasets import Dataset
from mamp_schemas.errors import RawFileError
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.skeleton import Skeleton
from mamp_schemas.store import Quarantined


@dataclass
class SourceClips:
    """What raw files gave.

    Attributes:
        clips: in order of id.
        quarantined: files, and labels in them, that gave no clip.
        tally: clips that a policy's field touches, and what `NOTES` names.
    """

    clips: list[tuple[ClipInfo, Clip]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def read_clips(source: RawSource, form: RawFormat, spec: Dataset, policy: IngestPolicy, found: SourceClips) -> None:
    """Read, parse and clean a raw file's clips; what cannot become a clip is quarantined.

    Args:
        source: the file.
        form: its format.
        spec: its dataset.
        policy: how bodies become a clip.
        found: what the file gives is added to it.
    """
    try:
        raw_clips = form.open(source)
    except RawFileError as problem:
        found.quarantined.append(_quarantine(source, problem))
        return
    for raw in raw_clips:
        try:
            _add_clip(raw, spec, policy, found)
        except RawFileError as problem:
            found.quarantined.append(_quarantine(raw.origin, problem))


def _add_clip(raw: RawClip, spec: Dataset, policy: IngestPolicy, found: SourceClips) -> None:
    if isinstance(raw.content, RawFileError):
        raise raw.content
    make = partial(_clean, raw.content, skeleton=spec.skeleton)
    clip = make(policy)
    if clip is None:
        found.tally["all_zero"] += 1
        return
    found.clips.append((raw.info, clip))
    found.tally.update(find_touched(make, policy, spec))
    if isinstance(raw.content, RawInstance):
        found.tally.update(note_cuts(raw.content, policy))


def _clean(content: RawBodies | RawInstance, policy: IngestPolicy, skeleton: Skeleton) -> Clip | None:
    if isinstance(content, RawInstance):
        return make_instance(content, policy, skeleton)
    return make_clip(content, policy, skeleton)


def _quarantine(source: RawSource, problem: RawFileError) -> Quarantined:
    return Quarantined(file=source.trace, line=problem.line, reason=problem.reason)
