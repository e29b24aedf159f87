"""The file names of PKU-MMD's videos, which tell the two phases apart."""

import re
from typing import Literal

from mamp_pipeline.datasets.clips import ClipInfo

Phase = Literal["pku1", "pku2"]

VIDEO_SUFFIX = ".txt"

VIDEO_NAME_PATTERNS: dict[Phase, str] = {"pku1": "NNNN-V.txt", "pku2": "AaaNnn-V.txt"}
"""The form of a phase's file names; V is L, M or R."""

_VIDEO_NAMES: dict[Phase, re.Pattern[str]] = {
    "pku1": re.compile(r"[0-9]{4}-([LMR])"),
    "pku2": re.compile(r"A[0-9]{2}N[0-9]{2}-([LMR])"),
}
_CAMERAS = {"L": 1, "M": 2, "R": 3}


def is_video_name(phase: Phase, name: str) -> bool:
    """Return whether a name, without suffix, is that of a video of this phase."""
    return _VIDEO_NAMES[phase].fullmatch(name) is not None


def parse_video_name(phase: Phase, file_name: str) -> ClipInfo | None:
    """Return what a file's name says; views L, M and R become cameras 1, 2 and 3; None for other files."""
    name = file_name.removesuffix(VIDEO_SUFFIX)
    match = _VIDEO_NAMES[phase].fullmatch(name)
    if match is None or name == file_name:
        return None
    return ClipInfo(id=name, label=-1, camera=_CAMERAS[match[1]])
