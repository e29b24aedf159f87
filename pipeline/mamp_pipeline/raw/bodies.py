"""What a raw file holds and what a clip is: the types between parsing, cleaning and writing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RawBodies:
    """Every body record of a raw file, in file order: B records over all frames.

    Attributes:
        frames: the file's declared number of frames.
        frame: (B,) int64, the 0-based frame of each record; ascending.
        body_id: (B,) int64, the tracker's id of each record.
        joints: (B, V, 3) float32, metres.
    """

    frames: int
    frame: NDArray[np.int64]
    body_id: NDArray[np.int64]
    joints: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a clip's name and file say of it; numbers are -1 where unknown.

    Attributes:
        id: the clip's name.
        label: 0-based class.
    """

    id: str
    label: int
    subject: int = -1
    camera: int = -1
    setup: int = -1
    replication: int = -1


@dataclass(frozen=True, slots=True)
class Clip:
    """A cleaned clip.

    Attributes:
        joints: (M, T, V, 3) float32 with the real bodies only, M = 1 or 2, metres from the clip's origin.
        valid_frames: Tv of reference.md §3, at least 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int
