"""Assigns tracks to the one or two body slots of a clip, and finds and cuts empty frames (reference.md §2.3)."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.tracks import Track
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.policy import ValidFrameRule


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
