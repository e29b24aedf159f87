"""A clip: the steps from body records to centred slots, in the order a policy prescribes."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.clean.actors import drop_empty_frames, tracks_to_slots, trim_empty_frames
from mamp_pipeline.clean.centre import centre_slots
from mamp_pipeline.clean.denoise import denoise
from mamp_pipeline.clean.tracks import group_tracks
from mamp_pipeline.raw.bodies import Clip, RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.policy import ValidFrameRule, IngestPolicy
from mamp_schemas.skeleton import Skeleton


def make_clip(raw: RawBodies, policy: IngestPolicy, skeleton: Skeleton) -> Clip:
    """Clean a raw file's bodies into a clip (reference.md §2).

    The `paper` policy equals the authors' scripts bit for bit. A file whose several bodies all join actor 1
    gives M = 2 with zeros in the second slot: only clips with M = 1 have a slot for the policy to fill.

    Args:
        raw: the file's body records, at least one.
        policy: how bodies become a clip.
        skeleton: the joint layout, for the joint to centre on.

    Raises:
        RawFileError: the records give no clip; where the authors' scripts crash, and where no frame is valid.
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

    By `true_count` all of them. By `signed_sum` those whose signed sum over C, then M, then V, is not 0. These
    float32 sums are those of the authors' loader. It sums two slots always; an empty second slot of zeros
    leaves every sum as it is and a copy doubles it, both exactly, so one slot gives the same count.
    """
    if rule == "true_count":
        return len(slots)
    # Coordinates added by hand: in NumPy's order, which over three neighbours is slow to set up.
    sums_TMV = slots[..., 0] + slots[..., 1]
    sums_TMV += slots[..., 2]
    sums_TV = sums_TMV[:, 0] if slots.shape[1] == 1 else sums_TMV.sum(axis=1)
    return int(np.count_nonzero(sums_TV.sum(axis=1)))
