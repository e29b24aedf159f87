"""The reader of NTU text where numba is missing: the same results, NumPy over all lines and numbers of a file."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.ntu_fields import (
    BODY_FIELDS,
    JOINT_FIELDS,
    JOINTS,
    LINES_PER_BODY,
    read_integer,
    settle,
)
from mamp_pipeline.raw.ntu_words import read_plain

_BODY_SHAPE = np.array([BODY_FIELDS, 1] + [JOINT_FIELDS] * JOINTS)
_SPACE, _LINE_END = b" \n"
# The temporaries of a chunk stay in the cache.
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class _Lines:
    """Text with single blanks, and where its fields and lines end.

    Attributes:
        text: the text.
        ends: (F + 1,) where each field ends, in order, after a first -1.
        last: (L + 1,) the place in `ends` of each line's last field, after a first 0.
    """

    text: bytes
    ends: NDArray[np.intp]
    last: NDArray[np.intp]

    def leading(self, lines: NDArray[np.intp]) -> NDArray[np.int64] | None:
        """Return the integers that start some lines; None where one does not start with an integer."""
        first = self.last[lines]
        places = zip((self.ends[first] + 1).tolist(), self.ends[first + 1].tolist(), strict=True)
        fields = [self.text[start:end] for start, end in places]
        spelled = {field: read_integer(field) for field in set(fields)}
        if None in spelled.values():
            return None
        return np.array([spelled[field] for field in fields], np.int64)


def read(data: bytes) -> RawBodies | None:
    """Read NTU text; None where it is malformed."""
    lines = _split(data)
    if lines is None:
        return None
    fields = np.diff(lines.last)
    first = np.flatnonzero(fields == BODY_FIELDS)
    members = first[:, None] + np.arange(LINES_PER_BODY)
    if members.size and (members[-1, -1] >= len(fields) or np.any(fields[members] != _BODY_SHAPE)):
        return None
    fields[members] = 0
    counted = _count(lines, np.flatnonzero(fields), len(fields))
    body_id, declared = lines.leading(first), lines.leading(first + 1)
    if counted is None or body_id is None or declared is None or np.any(declared != JOINTS):
        return None
    joints = _read_joints(lines, members[:, 2:])
    if joints is None:
        return None
    return RawBodies(len(counted), np.repeat(np.arange(len(counted)), counted), body_id, joints)


def _count(lines: _Lines, heads: NDArray[np.intp], total: int) -> NDArray[np.int64] | None:
    """Return the body count of each frame; None unless counts and the lines between them agree.

    Args:
        lines: the lines.
        heads: the lines that belong to no body.
        total: how many lines there are.
    """
    counts = lines.leading(heads)
    if counts is None or not len(heads) or heads[0] != 0 or np.any(np.diff(lines.last)[heads] != 1):
        return None
    frames, bodies = int(counts[0]), counts[1:]
    if frames != len(bodies) or np.any(bodies < 0) or np.any(bodies > total):
        return None
    if np.any(np.diff(heads[1:], append=total) != 1 + LINES_PER_BODY * bodies) or (frames and heads[1] != 1):
        return None
    return bodies


def _split(data: bytes) -> _Lines | None:
    """Find fields and lines; None where a line is blank or there is none."""
    text = data if re.fullmatch(rb"[^\s]\n", data[-2:]) else data.rstrip() + b"\n"
    if any(blank in text for blank in (b"\t", b"\r", b"\v", b"\f")):
        text = re.sub(rb"[\t\r\v\f]", b" ", text.replace(b"\r\n", b"\n"))
    ends = _separators(text)
    if np.any(np.diff(ends) == 1):
        text = re.sub(rb" ?\n ?", b"\n", re.sub(rb" {2,}", b" ", text)).lstrip(b" ")
        ends = _separators(text)
        if np.any(np.diff(ends) == 1):
            return None
    last = np.flatnonzero(np.frombuffer(text, np.uint8)[ends[1:]] == _LINE_END) + 1
    return _Lines(text, ends, np.concatenate(([0], last)))


def _separators(text: bytes) -> NDArray[np.intp]:
    """Return where blanks and line ends are, after a first -1."""
    symbols = np.frombuffer(text, np.uint8)
    places = [np.array([-1])]
    for start in range(0, len(symbols), _CHUNK):
        chunk = symbols[start : start + _CHUNK]
        places.append(np.flatnonzero((chunk == _SPACE) | (chunk == _LINE_END)) + start)
    return np.concatenate(places)


def _read_joints(lines: _Lines, members: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """Return x y z of some lines, shaped (B, 25, 3); None where one is no number."""
    edges = lines.ends[lines.last[members.ravel()][:, None] + np.arange(4)]
    start, end = (edges[:, :3] + 1).ravel(), edges[:, 1:].ravel()
    joints, odd = read_plain(lines.text, start, end)
    deferred = zip(odd.tolist(), start[odd].tolist(), end[odd].tolist(), strict=True)
    return joints.reshape(-1, JOINTS, 3) if settle(joints, deferred, lines.text) else None
