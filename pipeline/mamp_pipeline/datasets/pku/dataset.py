"""PKU-MMD I and II. The names of their videos and their raw format."""

import re
from collections.abc import Callable
from functools import partial
from typing import Literal

from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.datasets.pku.video import read_video_clips
from mamp_pipeline.datasets.raw_format import RawFormat, parse_base_name

Phase = Literal["pku1", "pku2"]


VIDEO_SUFFIX = ".txt"


VIDEO_NAME_PATTERNS: dict[Phase, str] = {"pku1": "NNNN-V.txt", "pku2": "AaaNnn-V.txt"}
"""What a phase's files are called; V is L, M or R."""


_VIDEO_NAMES: dict[Phase, re.Pattern[str]] = {
    "pku1": re.compile(r"[0-9]{4}-([LMR])"),
    "pku2": re.compile(r"A[0-9]{2}N[0-9]{2}-([LMR])"),
}


_CAMERAS = {"L": 1, "M": 2, "R": 3}


def is_video_name(phase: Phase, name: str) -> bool:
    """Whether a name, without suffix, is that of a video of this phase."""
    return _VIDEO_NAMES[phase].fullmatch(name) is not None


def video_name_parser(phase: Phase) -> Callable[[str], ClipInfo | None]:
    """Return a reader of a phase's file names; views L, M and R become cameras 1, 2 and 3."""

    def read_name(file_name: str) -> ClipInfo | None:
        name = file_name.removesuffix(VIDEO_SUFFIX)
        match = _VIDEO_NAMES[phase].fullmatch(name)
        if match is None or name == file_name:
            return None
        return ClipInfo(id=name, label=-1, camera=_CAMERAS[match[1]])

    return read_name


def video_format(phase: Phase) -> RawFormat:
    """Return the format of a phase's skeleton files."""
    return RawFormat(
        VIDEO_NAME_PATTERNS[phase],
        VIDEO_SUFFIX,
        partial(parse_base_name, video_name_parser(phase)),
        read_video_clips,
        is_video=True,
    )
