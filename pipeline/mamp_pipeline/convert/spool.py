"""The spool: an import's clips in a file beside the store to be, to be read again in order of id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.existing import ImportClip, SecondSlot
from mamp_schemas.policy import EmptySlotFill
from mamp_schemas.progress import Progress


@dataclass(frozen=True, slots=True)
class ScratchClip:
    """Where a clip lies in the spool.

    Attributes:
        offset: of its first row, in bytes.
        bodies, frames: of the rows that lie there.
        second: as in `FoundClip`.
    """

    offset: int
    bodies: int
    frames: int
    valid_frames: int
    second_slot: SecondSlot

    def stores_second_slot(self, empty_slot: EmptySlotFill) -> bool:
        """Whether the second slot must be stored, for it is not what the policy would fill in."""
        return self.second_slot in ("zeros", "copy") and self.second_slot != empty_slot


def write_scratch_file(path: Path, clips: Iterable[ImportClip], progress: Progress) -> list[ScratchClip]:
    """Write clips one after the other, as little-endian float32, and return where they lie."""
    spooled = []
    offset = 0
    with path.open("wb") as file:
        for clip in clips:
            bodies, frames = clip.joints.shape[:2]
            spooled.append(ScratchClip(offset, bodies, frames, clip.valid_frames, clip.second_slot))
            file.write(np.ascontiguousarray(clip.joints, dtype="<f4").data)
            offset += clip.joints.nbytes
            progress.advance(1)
    return spooled


def read_scratch_clip(file: IO[bytes], clip: ScratchClip, joints: int, empty_slot: EmptySlotFill) -> NDArray[np.float32]:
    """Return a clip as a store of this policy holds it, (M, T, V, 3)."""
    shape = (clip.bodies, clip.frames, joints, 3)
    file.seek(clip.offset)
    found = np.frombuffer(file.read(4 * int(np.prod(shape))), dtype="<f4").astype(np.float32).reshape(shape)
    if not clip.stores_second_slot(empty_slot):
        return found
    return np.concatenate([found, found if clip.second_slot == "copy" else np.zeros_like(found)])


def choose_empty_slot(clips: Sequence[ScratchClip]) -> EmptySlotFill:
    """Return the policy that leaves fewer rows to store: what the second slot holds in most one-body clips.

    Either gives every sample and every export alike: a slot that differs is stored.
    """
    rows = {second: sum(clip.frames for clip in clips if clip.second_slot == second) for second in ("zeros", "copy")}
    return "copy" if rows["copy"] > rows["zeros"] else "zeros"
