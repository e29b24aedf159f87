"""The compiled parser of NTU skeleton text: one pass over the bytes, equal to the reference in `parse`.

Lines are scanned in blocks of 64 bytes as bit masks: a mask has a bit for each byte of a class (blank, digit, …), so
that fields are counted and numbers delimited by a few operations on 64-bit words. Numbers of the usual form
`-?d.ddd` are read eight digits at a time; others are noted and read afterwards, one byte at a time, and those that no
single exact step gives are left to `read_decimal`.
"""

from typing import Any

import numpy as np

from mamp_pipeline.cleaning.jit import cached_njit, inline_njit
from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.io.number_text import read_decimal
from mamp_pipeline.datasets.ntu.format import BODY_FIELDS, JOINT_FIELDS, JOINTS, MIN_BYTES_PER_BODY, VALUES_PER_BODY
from mamp_pipeline.datasets.ntu.vector_ops import BLOCK, byte_mask, count_ones, load_word, lowest_bit, prefetch_lines

# Bytes.
_TAB, _LINE_END, _SPACE, _PLUS, _MINUS, _POINT, _ZERO, _NINE, _SMALL_E = 9, 10, 32, 43, 45, 46, 48, 57, 101
_BLANKS_FROM_TAB = 5
_LOWER_CASE_BIT = 32

_ONE_BIT: Any = np.uint64(1)
_NO_BITS: Any = np.uint64(0)

_WORD_DIGITS = 8
"""Digits that one 64-bit word holds."""

_MAX_FRACTION_DIGITS = 14
"""With one digit before the point, up to here a mantissa stays below 2^53 and its power of ten is exact."""

_MAX_PLAIN_CHARS = _MAX_FRACTION_DIGITS + len("0.")

_EXACT_POWER, _EXACT_MANTISSA = 22, 2**53
"""Within these a double holds power of ten and mantissa exactly, so one step between them rounds correctly."""

_POWERS = np.array([float(f"1e{power}") for power in range(_EXACT_POWER + 1)])

_SIGN_BIT = 4
_SIGNED_POWERS = np.concatenate((_POWERS[: 1 << _SIGN_BIT], -_POWERS[: 1 << _SIGN_BIT]))
"""By the sign, at this bit, and the power below it; dividing by a negative one keeps the sign of a zero."""

_TENS = np.array([10**power for power in range(1 << _SIGN_BIT)], np.uint64)


def _low_nibbles(last: int) -> int:
    """Return the mask of the low nibbles of a word's last bytes, all 8 of them at most."""
    beyond = 8 * (8 - min(max(last, 0), 8))
    return 0x0F0F0F0F0F0F0F0F >> beyond << beyond


_LOW_NIBBLES = np.array([_low_nibbles(digits) for digits in range(1 << _SIGN_BIT)], np.uint64)
"""By the length of a fraction: which nibbles of its last word count."""

_HIGH_NIBBLES = np.array([_low_nibbles(digits - _WORD_DIGITS) for digits in range(1 << _SIGN_BIT)], np.uint64)
"""By the length of a fraction: which nibbles of the word before its last count."""


@inline_njit
def _is_blank(byte: int) -> bool:
    """Return whether a byte separates fields or ends a line."""
    return byte == _SPACE or 0 <= byte - _TAB < _BLANKS_FROM_TAB


@inline_njit
def _blanks(text: Any, at: int) -> Any:
    """Mask of the bytes from `at` on that separate fields or end a line."""
    return byte_mask(text, at, _SPACE, 1) | byte_mask(text, at, _TAB, _BLANKS_FROM_TAB)


@inline_njit
def _scan_line(text: Any, at: int) -> tuple[int, int]:
    """Return the number of fields of the line that starts at `at`, and where the next line starts."""
    fields = np.int64(0)
    before = _ONE_BIT
    blank, end = _blanks(text, at), byte_mask(text, at, _LINE_END, 1)
    while end == _NO_BITS:
        fields += count_ones(~blank & ((blank << _ONE_BIT) | before))
        before = blank >> np.uint64(BLOCK - 1)
        at += BLOCK
        blank, end = _blanks(text, at), byte_mask(text, at, _LINE_END, 1)
    line = end ^ (end - _ONE_BIT)
    return fields + count_ones(~blank & ((blank << _ONE_BIT) | before) & line), at + lowest_bit(end) + 1


@inline_njit
def _find_field(text: Any, at: int) -> tuple[int, int]:
    """Return where the line's next field starts and ends; both are the line's end where it has no more."""
    while _is_blank(text[at]) and text[at] != _LINE_END:
        at += 1
    start = at
    while not _is_blank(text[at]):
        at += 1
    return start, at


@inline_njit
def _scan_sign(text: Any, at: int) -> tuple[bool, int]:
    """Return whether a number is negative and where its digits start."""
    negative = text[at] == _MINUS
    return negative, at + (negative or text[at] == _PLUS)


@inline_njit
def _scan_integer(text: Any, at: int) -> tuple[Any, bool]:
    """Return the integer that the line's next field spells, and whether it is one of 64 bits."""
    start, end = _find_field(text, at)
    negative, start = _scan_sign(text, start)
    digits = end - start
    value = _NO_BITS
    good: Any = 0 < digits <= 19
    for index in range(start, start + min(digits, 19)):
        digit = np.uint64(text[index]) - np.uint64(_ZERO)
        good &= digit <= np.uint64(9)
        value = value * np.uint64(10) + digit
    good &= value < np.uint64(2**63)
    return (-np.int64(value) if negative else np.int64(value)), good


@inline_njit
def _eight_digits(nibbles: Any) -> Any:
    """Return the number that eight digits spell, by adding adjacent digits: pairs, then fours, then all.

    Args:
        nibbles: uint64, a digit's value in each byte, the leading digit in the lowest byte.
    """
    pairs = ((nibbles * np.uint64(10 * 2**8 + 1)) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    fours = ((pairs * np.uint64(100 * 2**16 + 1)) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return (fours * np.uint64(10_000 * 2**32 + 1)) >> np.uint64(32)


@inline_njit
def _plain_number(text: Any, lead: Any, end: Any, minus: Any) -> Any:
    """Return the number `d.ddd` whose first digit is at `lead`; `minus` is its sign's bit."""
    digits = np.uint64(end - lead - 2)
    first = np.uint64(text[np.uint64(lead)]) - np.uint64(_ZERO)
    mantissa = first * _TENS[digits] + _eight_digits(load_word(text, end - 8) & _LOW_NIBBLES[digits])
    if digits > np.uint64(_WORD_DIGITS):
        mantissa += _eight_digits(load_word(text, end - 16) & _HIGH_NIBBLES[digits]) * np.uint64(10**_WORD_DIGITS)
    return np.float64(np.int64(mantissa)) / _SIGNED_POWERS[(minus << np.uint64(_SIGN_BIT)) | digits]


@inline_njit
def _plain_ends(text: Any, at: int) -> tuple[bool, Any, Any, Any, Any]:
    """Return whether three numbers `-?d.ddd` with a blank after each start here; the blanks and the minus signs."""
    blank, other = _blanks(text, at), ~byte_mask(text, at, _ZERO, 10)
    after_x = blank & (blank - _ONE_BIT)
    after_y = after_x & (after_x - _ONE_BIT)
    blank_x, blank_y, blank_z = blank ^ after_x, after_x ^ after_y, after_y & (~after_y + _ONE_BIT)
    numbers = blank_z - _ONE_BIT
    starts = _ONE_BIT | (blank_x << _ONE_BIT) | (blank_y << _ONE_BIT)
    minus = byte_mask(text, at, _MINUS, 1) & starts
    leads = starts + minus
    points = leads << _ONE_BIT
    plain = (
        blank_z != _NO_BITS
        and byte_mask(text, at, _POINT, 1) & numbers == points
        and other & numbers == blank_x | blank_y | minus | points
        and leads & other == _NO_BITS
    )
    return plain, blank_x, blank_y, blank_z, minus


@inline_njit
def _scan_plain_point(text: Any, at: int, joints: Any, slot: int) -> bool:
    """Read x y z where all three have the usual form `-?d.ddd`, one blank after each.

    Args:
        text: (n,) uint8, n at least 64, with at least 16 bytes before `at`.
        at: the start of a line of at least three fields.
        joints: flat; written to at `slot` and the two indices after.
        slot: the index of x.

    Returns:
        Whether they have that form; if not, nothing is written.
    """
    plain, blank_x, blank_y, blank_z, minus = _plain_ends(text, at)
    if not plain:
        return False
    end_x, end_y, end_z = lowest_bit(blank_x), lowest_bit(blank_y), lowest_bit(blank_z)
    minus_x = minus & _ONE_BIT
    minus_y = (minus >> np.uint64(end_x + 1)) & _ONE_BIT
    minus_z = (minus >> np.uint64(end_y + 1)) & _ONE_BIT
    lead_x, lead_y, lead_z = np.int64(minus_x), end_x + 1 + np.int64(minus_y), end_y + 1 + np.int64(minus_z)
    if (end_x - lead_x > _MAX_PLAIN_CHARS) | (end_y - lead_y > _MAX_PLAIN_CHARS) | (end_z - lead_z > _MAX_PLAIN_CHARS):
        return False
    index = np.uint64(slot)
    joints[index] = _plain_number(text, at + lead_x, at + end_x, minus_x)
    joints[index + _ONE_BIT] = _plain_number(text, at + lead_y, at + end_y, minus_y)
    joints[index + np.uint64(2)] = _plain_number(text, at + lead_z, at + end_z, minus_z)
    return True


@inline_njit
def _scan_number(text: Any, start: int, end: int) -> tuple[float, bool]:
    """Return the number that a field spells, and whether one exact step gave it.

    Where it did not, the field is left to `read_decimal`, which also finds out what is no number.
    """
    negative, at = _scan_sign(text, start)
    mantissa, power, digits, pointed = _NO_BITS, np.int64(0), 0, False
    while _ZERO <= text[at] <= _NINE or (text[at] == _POINT and not pointed):
        if text[at] == _POINT:
            pointed = True
        else:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - _ZERO)
            digits += 1
            power -= pointed
        at += 1
    exact = 0 < digits <= 19 and mantissa <= np.uint64(_EXACT_MANTISSA)
    if at < end:
        exponent, whole = _scan_integer(text, at + 1)
        exact &= whole and text[at] | _LOWER_CASE_BIT == _SMALL_E and not _is_blank(text[at + 1])
        power += min(max(exponent, -2 * _EXACT_POWER), 2 * _EXACT_POWER)
    if not exact or abs(power) > _EXACT_POWER:
        return 0.0, False
    value = np.float64(np.int64(mantissa))
    value = value / _POWERS[-power] if power < 0 else value * _POWERS[power]
    return (-value if negative else value), True


_MALFORMED = -1
_ODD_LINES = 256


@inline_njit
def _skip_line(text: Any, at: int, expected: int) -> int:
    """Return where the next line starts if there is a line at `at` and it has as many fields as expected."""
    if at >= text.size:
        return _MALFORMED
    prefetch_lines(text, at)
    fields, after = _scan_line(text, at)
    return after if fields == expected else _MALFORMED


@inline_njit
def _read_leading(text: Any, at: int, fields: int) -> tuple[int, int]:
    """Return the integer that starts a line of so many fields, and where the next line starts."""
    after = _skip_line(text, at, fields)
    if after < 0:
        return 0, _MALFORMED
    value, good = _scan_integer(text, at)
    return value, (after if good else _MALFORMED)


@inline_njit
def _read_joints(text: Any, at: int, joints: Any, record: int, odd: Any, count: int) -> tuple[int, int]:
    """Read a body's joint lines, noting those of odd form; return the next line and the number of odd ones so far."""
    for slot in range(record * VALUES_PER_BODY, (record + 1) * VALUES_PER_BODY, 3):
        after = _skip_line(text, at, JOINT_FIELDS)
        if after < 0:
            return _MALFORMED, count
        if not _scan_plain_point(text, at, joints, slot):
            if count < odd.shape[0]:
                odd[count, 0], odd[count, 1] = slot, at
            count += 1
        at = after
    return at, count


@cached_njit
def _parse_records(text: Any, frame: Any, body_id: Any, joints: Any, odd: Any) -> tuple[int, int, int, int]:
    """Return the counts of frames, records and odd joint lines, and where the text ends; -1 for a malformed line."""
    records, count = 0, 0
    frames, at = _read_leading(text, 0, 1)
    if at < 0 or frames < 0:
        return frames, records, count, _MALFORMED
    for index in range(frames):
        bodies, at = _read_leading(text, at, 1)
        if at < 0 or bodies < 0:
            return frames, records, count, _MALFORMED
        for _ in range(bodies):
            frame[records] = index
            body_id[records], at = _read_leading(text, at, BODY_FIELDS)
            if at < 0:
                return frames, records, count, _MALFORMED
            declared, at = _read_leading(text, at, 1)
            if at < 0 or declared != JOINTS:
                return frames, records, count, _MALFORMED
            at, count = _read_joints(text, at, joints, records, odd, count)
            if at < 0:
                return frames, records, count, _MALFORMED
            records += 1
    return frames, records, count, at


@cached_njit
def _parse_odd_lines(text: Any, odd: Any, joints: Any, deferred: Any) -> int:
    """Read the joint lines of odd form; note the numbers that are left to Python, and return how many there are."""
    count = 0
    for line in range(odd.shape[0]):
        slot, at = odd[line, 0], odd[line, 1]
        for index in range(slot, slot + 3):
            start, at = _find_field(text, at)
            joints[index], exact = _scan_number(text, start, at)
            if not exact:
                deferred[count, 0], deferred[count, 1], deferred[count, 2] = index, start, at
                count += 1
    return count


def parse_ntu_compiled(data: bytes) -> RawBodies | None:
    """Read NTU text; None where it is malformed."""
    if len(data) < BLOCK or not data.endswith(b"\n"):
        data += b"\n" * BLOCK
    text = np.frombuffer(data, np.uint8)
    room = len(data) // MIN_BYTES_PER_BODY + 2
    frame, body_id = np.empty(room, np.int64), np.empty(room, np.int64)
    joints = np.empty(room * VALUES_PER_BODY, np.float32)
    odd = np.empty((_ODD_LINES, 2), np.int64)
    frames, records, count, end = _parse_records(text, frame, body_id, joints, odd)
    if end < 0 or data[end:].strip():
        return None
    if count > len(odd):
        odd = np.empty((count, 2), np.int64)
        _parse_records(text, frame, body_id, joints, odd)
    if count and not _resolve_odd_lines(text, data, odd[:count], joints):
        return None
    for array, size in ((frame, records), (body_id, records), (joints, records * VALUES_PER_BODY)):
        array.resize(size, refcheck=False)
    return RawBodies(frames, frame, body_id, joints.reshape(records, JOINTS, 3))


def _resolve_odd_lines(text: Any, data: bytes, odd: Any, joints: Any) -> bool:
    """Read the joint lines of odd form; return whether all of their numbers are numbers within float32."""
    deferred = np.empty((3 * len(odd), 3), np.int64)
    count = _parse_odd_lines(text, odd, joints, deferred)
    for index, start, end in deferred[:count].tolist():
        value = read_decimal(data[start:end])
        if value is None:
            return False
        joints[index] = value
    return True
