"""Groups the body records of a raw file into tracks by the tracker's id (reference.md §2.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import RawBodies
from mamp_schemas.errors import RawFileError

MAX_GAP_RATIO, ALWAYS_ALLOWED_FRAMES = 10, 1_000
"""Gaps are kept while the frames are fewer than the ratio times those that hold a body, plus these. More frames mean a
damaged file, and would take memory out of proportion to it."""


@dataclass(frozen=True, slots=True)
class Track:
    """One body.

    Attributes:
        start: the frame of its first record, as `group_tracks` counts frames.
        joints: (n, V, 3) float32, its n >= 1 records, metres.
        frame_indices: (n,) the ascending frame of each record; None where each follows the one before.
    """

    start: int
    joints: NDArray[np.float32]
    frame_indices: NDArray[np.int64] | None = None

    @property
    def end(self) -> int:
        """Index of the last frame, inclusive."""
        return self.start + len(self.joints) - 1 if self.frame_indices is None else int(self.frame_indices[-1])


def group_tracks(raw: RawBodies, *, keep_gaps: bool = False) -> tuple[list[Track], int]:
    """Group a file's records into tracks, in order of first appearance.

    Frames without a body are not counted. A body that vanishes and returns continues in the frame after its last
    one, so its later frames shift earlier, as in the authors' scripts (reference.md §2.1).

    Args:
        raw: the file's records.
        keep_gaps: leave every record in its frame instead, counted from the first frame that holds a body.

    Returns:
        The tracks, and the number of frames counted.

    Raises:
        RawFileError: no frame holds a body. Where gaps are to be kept: a frame holds a body twice, or the gaps
            are out of all proportion to the records.
    """
    if len(raw.frame) == 0:
        raise RawFileError(f"no body in any of its {raw.frames} frames")
    steps = raw.frame[1:] != raw.frame[:-1]
    filled = 1 + int(np.count_nonzero(steps))
    single_body = (raw.body_id == raw.body_id[0]).all()
    if single_body and not keep_gaps:
        return [Track(0, raw.joints)], filled
    index = _recorded_frames(raw, filled) if keep_gaps else np.append(0, np.cumsum(steps))
    frames = int(index[-1]) + 1
    if single_body:
        return [Track(0, raw.joints, _indices_if_gaps(index))], frames
    ids, first = np.unique(raw.body_id, return_index=True)
    order = np.argsort(raw.body_id, kind="stable")  # the records of each body, one body after the other
    bodies = np.split(order, np.searchsorted(raw.body_id[order], ids)[1:])
    tracks = []
    for k in np.argsort(first, kind="stable"):
        records = bodies[k]
        frame_indices = _indices_if_gaps(index[records]) if keep_gaps else None
        tracks.append(Track(int(index[first[k]]), raw.joints[records], frame_indices))
    return tracks, frames


def _recorded_frames(raw: RawBodies, filled: int) -> NDArray[np.int64]:
    frames = raw.frame - raw.frame[0]
    if frames[-1] >= MAX_GAP_RATIO * filled + ALWAYS_ALLOWED_FRAMES:
        raise RawFileError(f"{frames[-1] + 1} frames from the first body to the last, {filled} of them with any")
    return np.asarray(frames, dtype=np.int64)


def _indices_if_gaps(frames: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the frames of a body's records if there are gaps between them, else None."""
    steps = np.diff(frames)
    if np.any(steps == 0):
        raise RawFileError(f"a body's id occurs more than once in a frame, in {np.count_nonzero(steps == 0)} frames")
    return frames if np.any(steps != 1) else None
