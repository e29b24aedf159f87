"""Actors: tracks laid into the one or two body slots of a clip (reference.md §2.3)."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.clean.tracks import Track
from mamp_schemas.errors import RawFileError


def place_tracks(tracks: list[Track], frames: int) -> NDArray[np.float32]:
    """Lay tracks into slots: a single one into one slot, several into two.

    The first track is actor 1. Each further track joins actor 1 when it overlaps with it by at most one frame,
    else actor 2 by the same rule, else it is lost. Where frames of one slot coincide, the later track wins.

    Returns:
        (T, M, V, 3) float32, zeros where a slot holds nobody; M = 1 for a single track, else 2. A single track
        that fills every frame is returned as it is, not copied.

    Raises:
        RawFileError: a placed track has more records than there are frames for it.
    """
    if len(tracks) == 1 and (tracks[0].start, tracks[0].end) == (0, frames - 1):
        return tracks[0].joints[:, None]
    slots = np.zeros((frames, min(len(tracks), 2), *tracks[0].joints.shape[1:]), dtype=np.float32)
    _place(slots[:, 0], tracks[0])
    # Actor 2 starts as the interval [0, 0] in the authors' scripts, before it has any frame.
    intervals = [(tracks[0].start, tracks[0].end), (0, 0)]
    for track in tracks[1:]:
        for slot, (start, end) in enumerate(intervals):
            if min(end, track.end) - max(start, track.start) <= 0:
                _place(slots[:, slot], track)
                intervals[slot] = (min(start, track.start), max(end, track.end))
                break
    return slots


def drop_empty_frames(slots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the frames of (T, M, V, 3) whose signed coordinate sum is 0."""
    kept = sum_frames(slots) != 0
    return slots if kept.all() else slots[kept]


def sum_frames(slots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (T,) the float32 coordinate sum of each frame, in numpy's order along (T, M·V·3) rows."""
    return np.asarray(slots.reshape(len(slots), -1).sum(axis=1))


def _place(slot: NDArray[np.float32], track: Track) -> None:
    if track.end >= len(slot):
        raise RawFileError(
            f"a body has {len(track.joints)} records from frame {track.start} on, but only {len(slot)} frames "
            "hold a body: its id occurs more than once in a frame"
        )
    slot[track.start : track.end + 1] = track.joints
