"""The NumPy parser of NTU skeleton text, used where numba is missing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.io.number_text import read_integer
from mamp_pipeline.datasets.ntu.digits import (
    EIGHT_DIGITS,
    HIGH_NIBBLES,
    LOW_NIBBLES,
    MAX_FRACTION_DIGITS,
    SIGN_BIT,
    SIGNED_POWERS,
    TENS,
    WORD_DIGITS,
    eight_digits,
)
from mamp_pipeline.datasets.ntu.format import BODY_FIELDS, JOINT_FIELDS, JOINTS, LINES_PER_BODY, resolve_fields

_ZERO, _MINUS, _POINT = b"0-."
_LOW_BYTES, _HIGH_BYTES = LOW_NIBBLES * np.uint64(0x11), HIGH_NIBBLES * np.uint64(0x11)
_ZEROS = np.uint64(0x3030303030303030)
# Added to a digit's value it leaves a byte's top bit clear, added to anything between it and 128 it sets it.
_BEYOND_NINE = np.uint64(0x7676767676767676)
_TOP_BITS = np.uint64(0x8080808080808080)


def parse_plain_numbers(
    text: bytes, start: NDArray[np.intp], end: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Read the numbers of the usual form.

    Args:
        text: the text; at least 16 bytes come before the first number.
        start: (n,) where the numbers start.
        end: (n,) where they end.

    Returns:
        (n,) the numbers, anything where one has another form; and the places of those.
    """
    symbols = np.frombuffer(text, np.uint8)
    words = np.ndarray(max(len(text) - 7, 0), "<u8", text, strides=(1,))
    minus = symbols[start] == _MINUS
    lead = start + minus
    digits = end - lead
    digits -= len("0.")
    first = symbols[lead] - np.uint8(_ZERO)
    lead += 1
    plain = (digits.view(np.uintp) <= MAX_FRACTION_DIGITS) & (first <= 9) & (symbols[lead] == _POINT)
    digits &= len(TENS) - 1
    mantissa, good = _word_value(words[end - 8], _LOW_BYTES[digits])
    plain &= good
    mantissa += first * TENS[digits]
    long = np.flatnonzero(digits > WORD_DIGITS)
    high, good = _word_value(words[end[long] - 16], _HIGH_BYTES[digits[long]])
    plain[long] &= good
    mantissa[long] += high * EIGHT_DIGITS
    digits |= minus.astype(np.intp) << SIGN_BIT
    return (mantissa / SIGNED_POWERS[digits]).astype(np.float32), np.flatnonzero(~plain)


def _word_value(values: NDArray[np.uint64], kept: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the numbers that the kept bytes of words spell, and whether these are digits; `values` is used up."""
    values ^= _ZEROS
    values &= kept
    beyond = values + _BEYOND_NINE
    beyond |= values
    beyond &= _TOP_BITS
    return eight_digits(values), beyond == 0


_BODY_SHAPE = np.array([BODY_FIELDS, 1] + [JOINT_FIELDS] * JOINTS)
_SPACE, _LINE_END, _RETURN = b" \n\r"
_LARGE = 2**20
"""Bytes from which on it is looked at how a text would fill the memory."""
# Control bytes that separate nothing are parts of fields; these spell no number then, and neither do marks.
_SPACES_FOR_BLANKS = bytes(
    _SPACE if byte in b"\t\r\v\f" else b"?"[0] if byte < _SPACE and byte != _LINE_END else byte for byte in range(256)
)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Text with one blank between fields, and where its fields and lines end.

    Attributes:
        text: the text.
        ends: (F,) where each field ends, in order.
        last: (L + 1,) the place in `ends` of each line's last field, after a first -1.
    """

    text: bytes
    ends: NDArray[np.intp]
    last: NDArray[np.intp]

    def leading(self, lines: NDArray[np.intp]) -> NDArray[np.int64] | None:
        """Return the integers that start some lines; None where one does not start with an integer."""
        before = self.last[lines]
        starts = np.where(before < 0, 0, self.ends[before] + 1).tolist()
        ends = self.ends[before + 1].tolist()
        fields = [self.text[start:end].removesuffix(b"\r") for start, end in zip(starts, ends, strict=True)]
        spelled = {field: read_integer(field) for field in set(fields)}
        if None in spelled.values():
            return None
        return np.array([spelled[field] for field in fields], np.int64)


def parse_ntu_numpy(data: bytes) -> RawBodies | None:
    """Read NTU text; None where it is malformed, or where its fields are so short that their places fill the memory."""
    if _has_short_fields(data):
        return None
    lines = _split(data)
    if lines is None:
        return None
    fields = np.diff(lines.last)
    first = np.flatnonzero(fields == BODY_FIELDS)
    members = first[:, None] + np.arange(LINES_PER_BODY)
    if members.size and (members[-1, -1] >= len(fields) or (fields[members] != _BODY_SHAPE).any()):
        return None
    alone = fields == 1
    alone[members] = False
    heads = np.flatnonzero(alone)
    numbers = lines.leading(np.concatenate((heads, first, first + 1)))
    if numbers is None or len(heads) + members.size != len(fields):
        return None
    counts, body_id, declared = np.split(numbers, (len(heads), len(heads) + len(first)))
    if (declared != JOINTS).any() or not _counts_fit(counts, heads, len(fields)):
        return None
    joints = _read_joints(lines, members[:, 2:])
    if joints is None:
        return None
    return RawBodies(int(counts[0]), np.repeat(np.arange(len(counts) - 1), counts[1:]), body_id, joints)


def _has_short_fields(data: bytes) -> bool:
    """Say whether a large text has fields of less than three characters on average; those of recordings have eight.

    The places of such fields would take eighty times the bytes of the text. Read line by line, they take little.
    """
    return len(data) > _LARGE and 4 * (data.count(b" ") + data.count(b"\n")) > len(data)


def _counts_fit(counts: NDArray[np.int64], heads: NDArray[np.intp], total: int) -> bool:
    """Say whether the declared counts fit the lines between them.

    Args:
        counts: the frame count and the body count of each frame.
        heads: the lines that they are on.
        total: how many lines there are.
    """
    bodies, after = counts[1:], np.append(heads[2:], total)
    if not len(counts) or heads[0] or counts[0] != len(bodies) or (bodies < 0).any() or (bodies > total).any():
        return False
    if not len(bodies):
        return total == 1
    return bool(heads[1] == 1 and (after - heads[1:] == 1 + LINES_PER_BODY * bodies).all())


def _split(data: bytes) -> _Lines | None:
    """Find fields and lines; None where a line is blank or there is none."""
    lines = _split_tidy(data if data.endswith(b"\n") else data + b"\n")
    return _split_tidy(_normalise_blanks(data)) if lines is None else lines


def _normalise_blanks(data: bytes) -> bytes:
    """Return the text with one space between the fields of a line and no other blanks."""
    symbols = np.frombuffer(data.rstrip().translate(_SPACES_FOR_BLANKS) + b"\n", np.uint8)
    blank = symbols == _SPACE
    blank[1:] &= symbols[:-1] <= _SPACE
    symbols = symbols[~blank]
    blank = symbols == _SPACE
    blank[:-1] &= symbols[1:] == _LINE_END
    return bytes(symbols[~blank])


def _split_tidy(text: bytes) -> _Lines | None:
    """Find fields and lines; None unless one space or line end comes after each field, returns before line ends."""
    symbols = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(symbols <= _SPACE)
    kinds = symbols[ends]
    if b"\r" in text:
        ends, kinds = ends[kinds != _RETURN], kinds[kinds != _RETURN]
    line_ends = kinds == _LINE_END
    if not (line_ends | (kinds == _SPACE)).all() or (ends[1:] - ends[:-1] == 1).any() or ends[0] == 0:
        return None
    last = np.concatenate(([-1], np.flatnonzero(line_ends)))
    return None if b"\r" in text and _has_stray_return(text, ends, last[1:]) else _Lines(text, ends, last)


def _has_stray_return(text: bytes, ends: NDArray[np.intp], last: NDArray[np.intp]) -> bool:
    """Say whether a return comes anywhere but between a line's last field and its end."""
    returned = np.frombuffer(text, np.uint8)[ends[last] - 1] == _RETURN
    alone = ends[last] - ends[last - 1] == len("\r\n")
    return text.count(b"\r") != np.count_nonzero(returned) or bool((returned & alone).any())


def _read_joints(lines: _Lines, members: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """Return x y z of some lines, shaped (B, 25, 3); None where one is no number."""
    edges = lines.ends.take(lines.last[members.ravel()] + np.arange(4)[:, None])
    start, end = edges[:3] + 1, edges[1:]
    joints, odd = parse_plain_numbers(lines.text, start.ravel(), end.ravel())
    deferred = zip(odd.tolist(), start.flat[odd].tolist(), end.flat[odd].tolist(), strict=True)
    if not resolve_fields(joints, deferred, lines.text):
        return None
    return np.ascontiguousarray(joints.reshape(3, -1).T).reshape(-1, JOINTS, 3)
