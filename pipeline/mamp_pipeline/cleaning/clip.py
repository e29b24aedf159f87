"""Makes a clip from body records as the policy says, and centres it (reference.md §2)."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.actors import drop_empty_frames, find_empty_frames, tracks_to_slots, trim_empty_frames
from mamp_pipeline.cleaning.denoise import denoise
from mamp_pipeline.cleaning.tracks import group_tracks
from mamp_pipeline.datasets.clips import Clip, RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.policy import IngestPolicy, ValidFrameRule
from mamp_schemas.models.skeleton import Skeleton


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
    # Whole rows at once: numpy is many times slower over three neighbours at a time.
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
    # Coordinates are added one by one, in NumPy's order: its own sum over three neighbours is slow.
    sums_TMV = slots[..., 0] + slots[..., 1]
    sums_TMV += slots[..., 2]
    sums_TV = sums_TMV[:, 0] if slots.shape[1] == 1 else sums_TMV.sum(axis=1)
    return int(np.count_nonzero(sums_TV.sum(axis=1)))
