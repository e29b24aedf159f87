"""The types between parsing, cleaning and writing, from the body records of a raw file to a cleaned clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.protocol import UNLISTED


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
class RawSegment:
    """An action in a video, as its label says.

    Attributes:
        video: (F, 2, V, 3) float64, all of the video's frames, metres; zeros where a slot holds nobody.
        start, end: the labelled interval; a policy says how they count.
        line: the label's line in its file.
    """

    video: NDArray[np.float64]
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a clip's name and file say of it; numbers are -1 where unknown.

    Attributes:
        id: the clip's name.
        label: 0-based class.
        xsub, xview: the sides by the dataset's split lists; see `mamp_schemas.models.protocol`.
    """

    id: str
    label: int
    subject: int = -1
    camera: int = -1
    setup: int = -1
    replication: int = -1
    xsub: int = UNLISTED
    xview: int = UNLISTED


@dataclass(frozen=True, slots=True)
class RawClip:
    """What the raw input holds of one clip; a file may hold several.

    Attributes:
        info: id, label and numbers.
        content: what a clip is made from, or why there is nothing to make it from.
        source: the file to name where the clip cannot be made.
    """

    info: ClipInfo
    content: RawBodies | RawSegment | RawFileError
    source: RawSource


@dataclass(frozen=True, slots=True)
class Clip:
    """A cleaned clip.

    Attributes:
        joints: (M, T, V, 3) float32 with the real bodies only, M = 1 or 2, metres from the clip's origin.
        valid_frames: Tv of reference.md §3, at least 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int
