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
_SPACE, _LINE_END, _RETURN = b" \n\r"
# The temporaries of a chunk stay in the cache.
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class _Lines:
    """Text with one blank between fields, and where its fields and lines end.

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
        fields = [self.text[start:end].removesuffix(b"\r") for start, end in places]
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
    if members.size and (members[-1, -1] >= len(fields) or (fields[members] != _BODY_SHAPE).any()):
        return None
    counts = _read_counts(lines, fields, members)
    body_id, declared = lines.leading(first), lines.leading(first + 1)
    if counts is None or body_id is None or declared is None or (declared != JOINTS).any():
        return None
    joints = _read_joints(lines, members[:, 2:])
    if joints is None:
        return None
    return RawBodies(len(counts), np.repeat(np.arange(len(counts)), counts), body_id, joints)


def _read_counts(lines: _Lines, fields: NDArray[np.intp], members: NDArray[np.intp]) -> NDArray[np.int64] | None:
    """Return the body count of each frame; None unless counts and the lines between them agree.

    Args:
        lines: the lines.
        fields: (L,) how many fields each has.
        members: the lines that belong to bodies.
    """
    alone = fields == 1
    alone[members] = False
    heads = np.flatnonzero(alone)
    counts = lines.leading(heads)
    if counts is None or not len(heads) or heads[0] or len(heads) + members.size != len(fields):
        return None
    bodies, after = counts[1:], np.append(heads[2:], len(fields))
    if counts[0] != len(bodies) or (bodies < 0).any() or (bodies > len(fields)).any():
        return None
    if len(bodies) and (heads[1] != 1 or (after - heads[1:] != 1 + LINES_PER_BODY * bodies).any()):
        return None
    return bodies


def _split(data: bytes) -> _Lines | None:
    """Find fields and lines; None where a line is blank or there is none."""
    text = data if data.endswith(b"\n") else data + b"\n"
    lines = _split_tidy(text)
    if lines is None:
        text = re.sub(rb"[\t\r\v\f ]+", b" ", data.strip()) + b"\n"
        lines = _split_tidy(re.sub(rb" ?\n ?", b"\n", text))
    return lines


def _split_tidy(text: bytes) -> _Lines | None:
    """Find fields and lines; None unless one space or line end comes after each field, returns before line ends."""
    symbols = np.frombuffer(text, np.uint8)
    ends = _find_ends(symbols)
    kinds = symbols[ends[1:]]
    line_ends = kinds == _LINE_END
    if not (line_ends | (kinds == _SPACE)).all() or (ends[1:] - ends[:-1] == 1).any():
        return None
    last = np.concatenate(([0], np.flatnonzero(line_ends) + 1))
    if b"\r" in text and text.count(b"\r") != np.count_nonzero(symbols[ends[last[1:]] - 1] == _RETURN):
        return None
    return _Lines(text, ends, last)


def _find_ends(symbols: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return where blanks other than returns are, after a first -1."""
    ends = np.empty(1 + np.count_nonzero(symbols <= _SPACE), np.intp)
    ends[0], count = -1, 1
    for start in range(0, len(symbols), _CHUNK):
        chunk = symbols[start : start + _CHUNK]
        places = np.flatnonzero((chunk <= _SPACE) & (chunk != _RETURN))
        np.add(places, start, out=ends[count : count + len(places)])
        count += len(places)
    return ends[:count]


def _read_joints(lines: _Lines, members: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """Return x y z of some lines, shaped (B, 25, 3); None where one is no number."""
    edges = lines.ends[lines.last[members.ravel()] + np.arange(4)[:, None]]
    start, end = edges[:3] + 1, edges[1:]
    joints, odd = read_plain(lines.text, start.ravel(), end.ravel())
    deferred = zip(odd.tolist(), start.flat[odd].tolist(), end.flat[odd].tolist(), strict=True)
    if not settle(joints, deferred, lines.text):
        return None
    return np.ascontiguousarray(joints.reshape(3, -1).T).reshape(-1, JOINTS, 3)
