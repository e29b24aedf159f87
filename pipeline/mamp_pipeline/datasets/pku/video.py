"""Parses the skeletons and labels of a PKU-MMD video; each label gives a raw clip."""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import ClipInfo, RawClip, RawSegment
from mamp_pipeline.datasets.io.number_text import FLOAT32_BOUND, read_decimal
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.datasets.pku import PKU1
from mamp_schemas.errors import RawFileError

_JOINTS = len(PKU1.skeleton.joints)
_NUMBERS_PER_FRAME = 2 * _JOINTS * 3
_MIN_LINE_BYTES = 2 * _NUMBERS_PER_FRAME - 1
"""The least text of a frame: one digit a number, a blank between two."""
_MAX_LINES = 1_000_000
"""Lines of a skeleton file. The longest raw file that is read has room for 900,000 frames."""
_MAX_LABELS = 10_000
"""Lines of a label file; PKU-MMD's have some 20."""
_MAX_COVERAGE = 20
_ALWAYS_ALLOWED_FRAMES = 10_000
"""A video's labels may have so many times its frames together, or so many. PKU-MMD's hardly overlap."""
_LABEL = re.compile(rb"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,[^,]+")
_DECIMAL_TEXT = b"0123456789+-.eE \t\r\n"


@dataclass(frozen=True, slots=True)
class LabelledInterval:
    """A labelled interval of a video.

    Attributes:
        label: 0-based class.
        start, end: the interval, as in the file.
        line: 1-based line of the file.
    """

    label: int
    start: int
    end: int
    line: int


def parse_video(data: bytes) -> NDArray[np.float64]:
    """Parse a skeleton file: one frame a line, two bodies of 25 joints; blank lines do not count.

    Returns:
        (F, 2, 25, 3) float64, metres; as float32 each number is `np.float32(float(text))`.

    Raises:
        RawFileError: no frame, or a line without 150 numbers within float32; names the line.
    """
    _check_line_count(data, _MAX_LINES)
    lines = data.splitlines()
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    if not numbers:
        raise RawFileError("no frame in the file")
    # float() takes more than decimal numbers: nan, inf, digits grouped by underscores.
    strict = bool(data.translate(None, _DECIMAL_TEXT))
    # There is room for as many lines as the bytes can hold: beyond them one has too few numbers.
    room = min(len(numbers), len(data) // _MIN_LINE_BYTES + 1)
    video = np.empty((room, _NUMBERS_PER_FRAME), dtype=np.float64)
    for frame, number in enumerate(numbers):
        video[frame] = _parse_frame(lines[number - 1], number, strict)
    too_large = np.flatnonzero(np.abs(video).max(axis=1) >= FLOAT32_BOUND)
    if len(too_large):
        raise RawFileError("a number beyond the range of float32", line=numbers[too_large[0]])
    return video.reshape(len(numbers), 2, _JOINTS, 3)


def _check_line_count(data: bytes, most: int) -> None:
    if data.count(b"\n") + data.count(b"\r") > 2 * most:
        raise RawFileError(f"more than {most:,} lines")


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


def parse_labels(data: bytes, *, any_action: bool = False) -> list[LabelledInterval | RawFileError]:
    """Parse a label file: `action,start,end,confidence` a line, any number of lines.

    Args:
        data: the file's bytes.
        any_action: whether intervals of other actions than the dataset's count, too.

    Returns:
        For each line that is not blank its interval, or why it has none: malformed, or an action outside 1 to 51.

    Raises:
        RawFileError: there are more lines than any video has labels.
    """
    _check_line_count(data, _MAX_LABELS)
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    return [_parse_label(line, number, any_action) for number, line in lines]


def _parse_label(line: bytes, number: int, any_action: bool) -> LabelledInterval | RawFileError:
    match = _LABEL.fullmatch(line)
    if match is None:
        return RawFileError(f"{quote(line)} is not action,start,end,confidence", line=number)
    action, start, end = (int(field) for field in match.groups())
    if not (any_action or 1 <= action <= PKU1.classes):
        return RawFileError(f"action {action}, expected 1 to {PKU1.classes}", line=number)
    return LabelledInterval(action - 1, start, end, number)


def quote(text: bytes) -> str:
    """Quote text of a raw file, its first 40 bytes."""
    return repr(text[:40].decode("ascii", errors="replace")) + ("…" if len(text) > 40 else "")


def read_video_clips(source: RawSource, info: ClipInfo, *, any_action: bool = False) -> list[RawClip]:
    """Read a video and its labels.

    Args:
        source: a video with its annotations.
        info: what its name says.
        any_action: whether intervals of other actions than the dataset's give clips, too.

    Returns:
        The raw clips in order of id `VIDEO_INDEX`; INDEX is the 0-based position of the label in its file, counting
        labels that give no clip.

    Raises:
        RawFileError: labels or skeletons are missing, or the skeletons are damaged.
    """
    annotations = source.video
    if annotations is None or annotations.labels is None:
        raise RawFileError(annotations.problem if annotations else "a video without its labels")
    info = replace(info, xsub=annotations.xsub, xview=annotations.xview)
    try:
        actions = parse_labels(read_source(annotations.labels), any_action=any_action)
    except RawFileError as problem:
        return [RawClip(info, problem, annotations.labels)]
    if not actions:
        return [RawClip(info, RawFileError("no label in the file"), annotations.labels)]
    video = parse_video(read_source(source))
    lengths = (min(action.end, len(video)) - action.start for action in actions if isinstance(action, LabelledInterval))
    covered = sum(max(length, 0) for length in lengths)
    if covered > max(_MAX_COVERAGE * len(video), _ALWAYS_ALLOWED_FRAMES):
        reason = f"its labels have {covered:,} frames together, the video {len(video):,}: they cannot be of one video"
        return [RawClip(info, RawFileError(reason), annotations.labels)]
    clips = []
    for index, action in enumerate(actions):
        clip_info = replace(info, id=f"{source.id}_{index}")
        if isinstance(action, RawFileError):
            clips.append(RawClip(clip_info, action, annotations.labels))
        else:
            content = RawSegment(video, action.start, action.end, action.line)
            clips.append(RawClip(replace(clip_info, label=action.label), content, annotations.labels))
    return sorted(clips, key=lambda clip: clip.info.id)
