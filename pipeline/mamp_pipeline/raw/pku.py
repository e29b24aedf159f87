"""The PKU-MMD format: the names of its videos, the skeletons of a video and its labels; bytes in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_pipeline.raw.ntu_fields import read_decimal
from mamp_schemas.datasets import PKU1
from mamp_schemas.errors import RawFileError

Phase = Literal["pku1", "pku2"]

VIDEO_SUFFIX = ".txt"
VIDEO_NAME_PATTERNS: dict[Phase, str] = {"pku1": "NNNN-V.txt", "pku2": "AaaNnn-V.txt"}
"""What a phase's files are called; V is L, M or R."""

_VIDEO_NAMES: dict[Phase, re.Pattern[str]] = {
    "pku1": re.compile(r"[0-9]{4}-([LMR])"),
    "pku2": re.compile(r"A[0-9]{2}N[0-9]{2}-([LMR])"),
}
_CAMERAS = {"L": 1, "M": 2, "R": 3}
_JOINTS = len(PKU1.skeleton.joints)
_NUMBERS_PER_FRAME = 2 * _JOINTS * 3
_LABEL = re.compile(rb"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,[^,]+")
_DECIMAL_TEXT = b"0123456789+-.eE \t\r\n"
# Half a step above the largest float32: from here on a double rounds to infinity.
_FLOAT32_BOUND = 2.0**128 - 2.0**103


@dataclass(frozen=True, slots=True)
class LabelledInterval:
    """A labelled interval of a video.

    Attributes:
        label: 0-based class.
        start, end: the interval, as the file names it.
        line: 1-based line of the file.
    """

    label: int
    start: int
    end: int
    line: int


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


def parse_video(data: bytes) -> NDArray[np.float64]:
    """Parse a skeleton file: one frame a line, two bodies of 25 joints; blank lines do not count.

    Returns:
        (F, 2, 25, 3) float64, metres; as float32 each number is `np.float32(float(text))`.

    Raises:
        RawFileError: no frame, or a line without 150 numbers within float32; names the line.
    """
    lines = data.splitlines()
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    if not numbers:
        raise RawFileError("no frame in the file")
    # float() takes more than decimal numbers: nan, inf, digits grouped by underscores.
    strict = bool(data.translate(None, _DECIMAL_TEXT))
    video = np.empty((len(numbers), _NUMBERS_PER_FRAME), dtype=np.float64)
    for place, number in enumerate(numbers):
        video[place] = _parse_frame(lines[number - 1], number, strict)
    wild = np.flatnonzero(np.abs(video).max(axis=1) >= _FLOAT32_BOUND)
    if len(wild):
        raise RawFileError("a number beyond the range of float32", line=numbers[wild[0]])
    return video.reshape(len(numbers), 2, _JOINTS, 3)


def _parse_frame(line: bytes, number: int, strict: bool) -> list[float]:
    fields = line.split()
    if len(fields) != _NUMBERS_PER_FRAME:
        raise RawFileError(f"{len(fields)} numbers, expected {_NUMBERS_PER_FRAME}", line=number)
    try:
        if not strict or all(read_decimal(field) is not None for field in fields):
            return list(map(float, fields))
    except ValueError:
        pass
    wrong = next(field for field in fields if read_decimal(field) is None)
    raise RawFileError(f"{quote(wrong)} is no number within float32", line=number)


def parse_labels(data: bytes) -> list[LabelledInterval | RawFileError]:
    """Parse a label file: `action,start,end,confidence` a line, any number of lines.

    Returns:
        What each line that is not blank says; of one that is malformed or names no action of 1 to 51, why.
    """
    return [_parse_label(line, number) for number, line in enumerate(data.splitlines(), 1) if line.strip()]


def _parse_label(line: bytes, number: int) -> LabelledInterval | RawFileError:
    match = _LABEL.fullmatch(line)
    if match is None:
        return RawFileError(f"{quote(line)} is not action,start,end,confidence", line=number)
    action, start, end = (int(field) for field in match.groups())
    if not 1 <= action <= PKU1.classes:
        return RawFileError(f"action {action}, expected 1 to {PKU1.classes}", line=number)
    return LabelledInterval(action - 1, start, end, number)


def quote(text: bytes) -> str:
    """Quote text of a raw file, its first 40 bytes."""
    return repr(text[:40].decode("ascii", errors="replace")) + ("…" if len(text) > 40 else "")
