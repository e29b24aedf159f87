"""Tracks: the body records of a raw file, grouped by the tracker's id."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import RawBodies
from mamp_schemas.errors import RawFileError


@dataclass(frozen=True, slots=True)
class Track:
    """One body, from its first frame on without a gap.

    Attributes:
        start: index of its first frame, counted over the frames that hold a body.
        joints: (n, V, 3) float32, its n >= 1 records, metres.
    """

    start: int
    joints: NDArray[np.float32]

    @property
    def end(self) -> int:
        """Index of the last frame, inclusive."""
        return self.start + len(self.joints) - 1


def group_tracks(raw: RawBodies) -> tuple[list[Track], int]:
    """Group a file's records into tracks, in order of first appearance.

    Frames without a body do not count. A body that vanishes and returns goes on in the frame after its last
    one, so its later frames shift earlier, as in the authors' scripts (reference.md §2.1).

    Returns:
        The tracks, and the number of frames that hold a body.

    Raises:
        RawFileError: no frame holds a body.
    """
    if len(raw.frame) == 0:
        raise RawFileError(f"no body in any of its {raw.frames} frames")
    index = np.concatenate(([0], np.cumsum(raw.frame[1:] != raw.frame[:-1])))
    frames = int(index[-1]) + 1
    if np.all(raw.body_id == raw.body_id[0]):
        return [Track(0, raw.joints)], frames
    ids, first = np.unique(raw.body_id, return_index=True)
    tracks = [Track(int(index[first[k]]), raw.joints[raw.body_id == ids[k]]) for k in np.argsort(first, kind="stable")]
    return tracks, frames
