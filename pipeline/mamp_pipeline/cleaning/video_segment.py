"""Makes a clip from a labelled segment of a video (reference.md §1, PKU-MMD)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import centre_slots, count_valid_frames
from mamp_pipeline.datasets.clips import Clip, RawSegment
from mamp_schemas.errors import RawFileError
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
