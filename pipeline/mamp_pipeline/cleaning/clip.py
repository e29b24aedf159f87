"""Makes a clip from body records as the policy says: tracks to slots, empty frames cut, centred (reference.md §2)."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.denoise import denoise
from mamp_pipeline.cleaning.tracks import Track, group_tracks
from mamp_pipeline.datasets.clips import Clip, RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.policy import IngestPolicy, ValidFrameRule
from mamp_schemas.models.skeleton import Skeleton


def tracks_to_slots(tracks: list[Track], frames: int) -> NDArray[np.float32]:
    """Assign tracks to slots: a single track to one slot, several to two.

    The first track is actor 1. Each further track joins actor 1 if it overlaps with it by at most one frame, else
    actor 2 by the same rule, else it is dropped. Where frames of one slot coincide, the later track wins.

    Returns:
        (T, M, V, 3) float32, zeros where a slot holds no body; M = 1 for a single track, else 2. A single track
        that fills every frame is returned as it is, not copied.

    Raises:
        RawFileError: a placed track has more records than there are frames for it.
    """
    if len(tracks) == 1 and (tracks[0].start, len(tracks[0].joints)) == (0, frames):
        return tracks[0].joints[:, None]
    slots = np.zeros((frames, min(len(tracks), 2), *tracks[0].joints.shape[1:]), dtype=np.float32)
    _write_track(slots[:, 0], tracks[0])
    # Actor 2 starts as the interval [0, 0] in the authors' scripts, before it has any frame.
    intervals = [(tracks[0].start, tracks[0].end), (0, 0)]
    for track in tracks[1:]:
        for slot, (start, end) in enumerate(intervals):
            if min(end, track.end) - max(start, track.start) <= 0:
                _write_track(slots[:, slot], track)
                intervals[slot] = (min(start, track.start), max(end, track.end))
                break
    return slots


def drop_empty_frames(slots: NDArray[np.float32], rule: ValidFrameRule = "signed_sum") -> NDArray[np.float32]:
    """Cut the empty frames of (T, M, V, 3)."""
    empty = find_empty_frames(slots, rule)
    return slots[~empty] if empty.any() else slots


def trim_empty_frames(slots: NDArray[np.float32], rule: ValidFrameRule) -> NDArray[np.float32]:
    """Cut the empty frames of (T, M, V, 3) before the first that is not and after the last."""
    filled = np.flatnonzero(~find_empty_frames(slots, rule))
    return slots[filled[0] : filled[-1] + 1] if len(filled) else slots[:0]


def find_empty_frames(slots: NDArray[np.float32], rule: ValidFrameRule) -> NDArray[np.bool_]:
    """Return (T,) bool: the frames of (T, ..., V, 3) that count as empty.

    By `signed_sum`, frames whose float32 coordinate sum, in numpy's order along (T, M·V·3) rows, is 0; by
    `true_count`, frames in which every coordinate is 0.
    """
    rows = slots.reshape(len(slots), -1)
    return np.asarray(rows.sum(axis=1) == 0 if rule == "signed_sum" else ~rows.any(axis=1))


def _write_track(slot: NDArray[np.float32], track: Track) -> None:
    if track.end >= len(slot):
        raise RawFileError(
            f"a body has {len(track.joints)} records from frame {track.start} on, but only {len(slot)} frames "
            "hold a body: its id occurs more than once in a frame"
        )
    if track.frame_indices is None:
        slot[track.start : track.end + 1] = track.joints
    else:
        slot[track.frame_indices] = track.joints


def centre_slots(
    slots: NDArray[np.float32], joint: int, rule: ValidFrameRule = "signed_sum", *, keep_gaps: bool = False
) -> NDArray[np.float32]:
    """Subtract actor 1's `joint` in its first non-zero frame from every joint of every frame.

    In two-slot clips, and where gaps are kept, a slot's frames that were empty before are zeros afterwards.

    Args:
        slots: (T, M, V, 3) float32.
        joint: index of the joint that becomes the origin.
        rule: which frames count as empty.
        keep_gaps: whether a single slot's empty frames stay zeros.

    Returns:
        A new (T, M, V, 3) array.

    Raises:
        RawFileError: actor 1 has no non-zero frame.
    """
    origin = slots[_first_filled(slots[:, 0]), 0, joint]
    # Whole rows at once: numpy is many times slower over three values at a time.
    spread = np.empty(slots.shape[2:], dtype=np.float32)
    spread[:] = origin
    rows = slots.reshape(-1, spread.size)
    centred: NDArray[np.float32] = (rows - spread.ravel()).reshape(slots.shape)
    if slots.shape[1] > 1 or keep_gaps:
        for slot in range(slots.shape[1]):
            centred[find_empty_frames(slots[:, slot], rule), slot] = 0
    return centred


def _first_filled(slot: NDArray[np.float32]) -> int:
    for frame, joints in enumerate(slot):
        if joints.any():
            return frame
    raise RawFileError("the main body has no frame with a position other than 0")


def make_clip(raw: RawBodies, policy: IngestPolicy, skeleton: Skeleton) -> Clip:
    """Clean a raw file's bodies into a clip (reference.md §2).

    The `paper` policy equals the authors' scripts bit for bit. A file whose several bodies all join actor 1
    gives M = 2 with zeros in the second slot: only clips with M = 1 have a slot for the policy to fill.

    Args:
        raw: the file's body records, at least one.
        policy: how bodies become a clip.
        skeleton: the joint layout, for the joint to centre on.

    Raises:
        RawFileError: the records give no clip: the authors' scripts crash on them, or no frame is valid.
    """
    keep_gaps = policy.tracking_gaps == "keep"
    tracks, frames = group_tracks(raw, keep_gaps=keep_gaps)
    if len(tracks) == 1:
        slots = tracks_to_slots(tracks, frames)
    else:
        placed = tracks_to_slots(denoise(tracks) if policy.denoise else tracks, frames)
        drop = trim_empty_frames if keep_gaps else drop_empty_frames
        slots = drop(placed, policy.valid_frames)
    if policy.centre == "first_frame":
        slots = centre_slots(slots, skeleton.centre, policy.valid_frames, keep_gaps=keep_gaps)
    valid = count_valid_frames(slots, policy.valid_frames)
    if valid == 0:
        raise RawFileError("no frame with a signed coordinate sum other than 0")
    return Clip(joints=np.ascontiguousarray(slots.transpose(1, 0, 2, 3)), valid_frames=valid)


def count_valid_frames(slots: NDArray[np.float32], rule: ValidFrameRule = "signed_sum") -> int:
    """Count the valid frames of (T, M, V, 3) (reference.md §3).

    By `true_count`, all of them. By `signed_sum`, frames whose signed sum over C, then M, then V, is not 0: the
    float32 sums of the authors' loader. The loader always sums two slots; a second slot of zeros leaves every sum as
    it is and a copy doubles it, both exactly, so one slot gives the same count.
    """
    if rule == "true_count":
        return len(slots)
    # Coordinates are added one by one, in NumPy's order: its own sum over three values is slow.
    sums_TMV = slots[..., 0] + slots[..., 1]
    sums_TMV += slots[..., 2]
    sums_TV = sums_TMV[:, 0] if slots.shape[1] == 1 else sums_TMV.sum(axis=1)
    return int(np.count_nonzero(sums_TV.sum(axis=1)))
