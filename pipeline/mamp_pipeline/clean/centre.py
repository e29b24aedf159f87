"""Centring: a clip's origin moved to actor 1 (reference.md §2.4)."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.clean.actors import find_empty_frames
from mamp_schemas.errors import RawFileError
from mamp_schemas.policy import ValidFrameRule


def centre_slots(
    slots: NDArray[np.float32], joint: int, rule: ValidFrameRule = "signed_sum", *, keep_gaps: bool = False
) -> NDArray[np.float32]:
    """Subtract actor 1's `joint` in its first non-zero frame from every joint of every frame.

    In two-slot clips, and where gaps are kept, a slot's frames that were empty before are zeros afterwards.

    Args:
        slots: (T, M, V, 3) float32.
        joint: index of the joint that becomes the origin.
        count: how empty frames are told.
        keep_gaps: whether a single slot's empty frames stay zeros.

    Returns:
        A new (T, M, V, 3) array.

    Raises:
        RawFileError: actor 1 has no non-zero frame.
    """
    origin = slots[_first_filled(slots[:, 0]), 0, joint]
    # All of a row at once: over three neighbours at a time numpy takes many times longer.
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
