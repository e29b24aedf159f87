"""The types that pass from parsing to cleaning to writing: body records, raw clips, cleaned clips."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.splits import UNLISTED


@dataclass(frozen=True, slots=True)
class RawBodies:
    """Every body record of a raw file, in file order: B records over all frames.

    Attributes:
        frames: the file's declared number of frames.
        frame: (B,) int64, the 0-based frame of each record; ascending.
        body_id: (B,) int64, the tracker's id of each record.
        joints: (B, V, 3) float32, metres.
        bodies_left: bodies of the file that are not among the records, because a clip has no slots for them.
        frames_left: frames in which no other bodies were seen.
    """

    frames: int
    frame: NDArray[np.int64]
    body_id: NDArray[np.int64]
    joints: NDArray[np.float32]
    bodies_left: int = 0
    frames_left: int = 0


@dataclass(frozen=True, slots=True)
class RawSegment:
    """A labelled action in a video.

    Attributes:
        video: (F, 2, V, 3) float64, all frames of the video, metres; zeros where a slot holds no body.
        start, end: the labelled interval; the policy says how frames are counted.
        line: the label's line in its file.
    """

    video: NDArray[np.float64]
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What name and file say about a clip; numbers are -1 where unknown.

    Attributes:
        id: the clip's name.
        label: 0-based class.
        subject, camera, setup, replication: as the dataset numbers them.
        xsub, xview: the split by the dataset's split lists; see `mamp_schemas.models.splits`.
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
    """One clip of a raw file, parsed but not cleaned; a file may hold several.

    Attributes:
        info: id, label and numbers.
        content: what the dataset's reader cleans into a clip, or why there is nothing to clean.
        source: the file to name if the clip cannot be made.
    """

    info: ClipInfo
    content: RawBodies | RawSegment | RawFileError
    source: RawSource


@dataclass(frozen=True, slots=True)
class Clip:
    """A cleaned clip.

    Attributes:
        joints: (M, T, V, 3) float32, only slots with a body, M = 1 or 2, metres from the clip's origin.
        valid_frames: Tv of reference.md §3, at least 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int
