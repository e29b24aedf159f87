"""Readers of PKU-MMD I and II, whose raw files are videos with labels; each label gives a clip.

A labelled segment becomes a clip as reference.md §1 says.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import centre_slots, count_valid_frames
from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawClip, RawSegment
from mamp_pipeline.datasets.io.source import CollectedFiles, RawSource
from mamp_pipeline.datasets.pku.discover import (
    VIDEO_LIKENESS,
    VIDEO_NAME_PATTERNS,
    Phase,
    describe_split_lists,
    find_foreign_video,
    find_videos,
    parse_video_name,
)
from mamp_pipeline.datasets.pku.video import read_video_clips
from mamp_schemas.datasets.pku import PKU1, PKU2
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.skeleton import Skeleton


def make_segment_clip(raw: RawSegment, policy: IngestPolicy, skeleton: Skeleton) -> Clip | None:
    """Cut a labelled segment out of its video (reference.md §1, PKU-MMD).

    An interval that runs beyond the video's end is cut there, as slicing does in the authors' script. Frames
    without a body stay where they are.

    Args:
        raw: the video and the labelled interval.
        policy: how a segment becomes a clip.
        skeleton: the joint layout, for the joint to centre on.

    Returns:
        The clip; None where the segment holds no position: by `signed_sum`, if all its coordinates sum up to 0,
        which is the authors' test; by `true_count`, if all are 0.

    Raises:
        RawFileError: no frame of the video is in the interval, or no frame of it can be used.
    """
    frames = raw.video[_first_frame(raw, policy) : raw.end]
    if not len(frames):
        raise RawFileError(
            f"interval {raw.start} to {raw.end} holds no frame of the video's {len(raw.video)}", line=raw.line
        )
    if not frames.any() or (policy.valid_frames == "signed_sum" and frames.sum() == 0):
        return None
    slots = frames[: policy.max_frames].astype(np.float32)
    bodies = 2 if slots[:, 1].any() else 1
    try:
        if policy.centre == "first_frame":
            slots = centre_slots(slots, skeleton.centre, policy.valid_frames)
        return _clip_from_slots(slots[:, :bodies], policy)
    except RawFileError as problem:
        raise RawFileError(problem.reason, line=raw.line) from None


def segment_notes(raw: RawSegment, policy: IngestPolicy) -> Iterator[str]:
    """Yield the keys of `NOTE_DESCRIPTIONS` that tell how a segment was cut."""
    if raw.end > len(raw.video):
        yield "interval_cut"
    frames = min(raw.end, len(raw.video)) - _first_frame(raw, policy)
    if policy.max_frames is not None and frames > policy.max_frames:
        yield "frames_cut"


def _first_frame(raw: RawSegment, policy: IngestPolicy) -> int:
    return max(raw.start - 1, 0) if policy.interval_start == "one_based" else raw.start


def _clip_from_slots(slots: NDArray[np.float32], policy: IngestPolicy) -> Clip:
    valid = count_valid_frames(slots, policy.valid_frames)
    if valid == 0:
        raise RawFileError("no frame with a signed coordinate sum other than 0")
    return Clip(joints=np.ascontiguousarray(slots.transpose(1, 0, 2, 3)), valid_frames=valid)


class PkuReader(DatasetReader):
    """Reads videos, each a skeleton file with a label file; split lists say in which split a video is.

    A clip's id is `VIDEO_INDEX`, by its label's 0-based position in the label file.

    Args:
        options: the dataset.
        phase: whose form of names its videos have.
    """

    likeness = VIDEO_LIKENESS

    def __init__(self, options: DatasetSpec, phase: Phase) -> None:
        super().__init__(options)
        self._phase: Phase = phase
        self.name_pattern = VIDEO_NAME_PATTERNS[phase]

    def parse_path(self, member: str) -> ClipInfo | None:
        """Return what the path of a skeleton or label file says about its video."""
        return parse_video_name(self._phase, member.rpartition("/")[2])

    def collect(self, files: Iterable[RawSource]) -> CollectedFiles:
        """Return the videos among files, each with its labels and splits, sorted by id."""
        return find_videos(files, self._phase)

    def collect_unnamed(self, files: Iterable[RawSource]) -> CollectedFiles:
        """Return the videos among files of any name; a video and its labels have the same name in two folders."""
        return find_videos(files, self._phase, any_name=True)

    def explain_left_out(self, member: str) -> str | None:
        """Return why a file that looks like a raw file is neither a video's nor a split list."""
        other: Phase = "pku2" if self._phase == "pku1" else "pku1"
        if parse_video_name(other, member.rpartition("/")[2]):
            return f"its name is that of a video of the other phase, {VIDEO_NAME_PATTERNS[other]}"
        return super().explain_left_out(member)

    def why_foreign(self, info: ClipInfo) -> str:
        """Return why a video or clip of the phase's form of names is none of its own; empty if it is one."""
        return super().why_foreign(info) or find_foreign_video(self._phase, info.id)

    def notes(self, sources: Sequence[RawSource]) -> Iterator[str]:
        """Yield which protocols have no split list, or not for all videos."""
        return describe_split_lists(sources)

    def read(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the labelled segments of a video."""
        return read_video_clips(source, info)

    def read_unnamed(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the labelled segments of a video; its labels only cut it."""
        return read_video_clips(source, info, any_action=True)

    def clean(self, content: RawSegment, policy: IngestPolicy) -> Clip | None:
        """Return the clip of a labelled segment; None where it holds no position."""
        return make_segment_clip(content, policy, self.options.skeleton)

    def cleaning_notes(self, content: RawSegment, policy: IngestPolicy) -> Iterator[str]:
        """Yield how a segment was cut."""
        return segment_notes(content, policy)

    def source_id(self, clip_id: str) -> str:
        """Return the id of a clip's video."""
        return clip_id.rpartition("_")[0]

    def parse_id(self, clip_id: str) -> ClipInfo | None:
        """Return what a clip's id `VIDEO_INDEX` says."""
        return super().parse_id(clip_id) if clip_id.rpartition("_")[2].isdecimal() else None


PKU1_READER = PkuReader(PKU1, "pku1")
PKU2_READER = PkuReader(PKU2, "pku2")
