"""The padded layout, read: where in (clips, 300, M·V·3) a clip ends, and what its second slot holds."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.clean.clip import count_valid_frames
from mamp_pipeline.convert.existing import ImportClip, SecondSlot


def unpad_clips(block: NDArray[np.float32], slots: int) -> Iterator[ImportClip]:
    """Yield the clips of a padded block, so that padding them again gives the same bits.

    A clip's frames end with the last one that has a bit set (-0.0 counts, 0.0 does not); one of zeros only has
    one frame. Frames whose signed sum is 0 may leave no valid frame: then the first counts, for the sample of a
    clip needs one.

    Args:
        block: (n, 300, M·V·3).
        slots: M, 1 or 2.
    """
    filled = np.any(block.view(np.uint32), axis=2)
    last = block.shape[1] - np.argmax(filled[:, ::-1], axis=1)
    frames = np.where(filled.any(axis=1), last, 1)
    for padded, count in zip(block, frames.tolist(), strict=True):
        slots_TMVC = padded[:count].reshape(count, slots, -1, 3)
        second = _classify_second_slot(slots_TMVC)
        bodies = slots if second == "stored" else 1
        valid = max(1, count_valid_frames(slots_TMVC))
        yield ImportClip(np.ascontiguousarray(slots_TMVC[:, :bodies].transpose(1, 0, 2, 3)), valid, second)


def _classify_second_slot(slots_TMVC: NDArray[np.float32]) -> SecondSlot:
    if slots_TMVC.shape[1] == 1:
        return "stored"
    bits = slots_TMVC.view(np.uint32)
    if not bits[:, 1].any():
        return "zeros" if bits[:, 0].any() else "either"
    return "copy" if np.array_equal(bits[:, 0], bits[:, 1]) else "stored"
