"""The compiled reader of NTU text: one pass over the bytes where they are, no Python per line."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from mamp_pipeline.raw import ntu_digits
from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.ntu_digits import (
    EIGHT_DIGITS,
    HIGH_NIBBLES,
    LONG_FRACTION,
    LOW_NIBBLES,
    POWERS,
    SHORT_FRACTION,
    SIGNED_POWERS,
    TENS,
)
from mamp_pipeline.raw.ntu_fields import BODY_FIELDS, JOINT_FIELDS, JOINTS, LINES_PER_BODY, settle
from mamp_pipeline.raw.ntu_masks import BLOCK, lowest, ones, within, word

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_ONE = np.uint64(1)
_VALUES = 3 * JOINTS
# With other control bytes refused beforehand, these first bytes are the blanks and the line end.
_BLANKS = 33
_ROOM = 256


def _inlined(function: AnyFunction) -> AnyFunction:
    return cast("AnyFunction", njit(nogil=True, forceinline=True)(function))


def _compiled(function: AnyFunction) -> AnyFunction:
    try:
        return cast("AnyFunction", njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither the package's folder nor the user's can hold a cache
        return cast("AnyFunction", njit(nogil=True)(function))


_eight_digits = _inlined(ntu_digits.eight_digits)


@_inlined
def _mask(text: Any, at: int, first: int, count: int) -> Any:
    """Mask of the bytes from `at` on that are in a range; bytes beyond the text's end are not."""
    start = min(at, text.size - BLOCK)
    return within(text, start, first, count) >> np.uint64(at - start)


@_compiled
def _survey(text: Any) -> tuple[int, bool]:
    """Return the number of line ends, and whether there is a control byte that text cannot have."""
    lines, strange = np.int64(0), np.uint64(0)
    for at in range(0, text.size, BLOCK):
        lines += ones(_mask(text, at, 10, 1))
        strange |= _mask(text, at, 0, 32) & ~_mask(text, at, 9, 5)
    return lines, strange != np.uint64(0)


@_inlined
def _scan(text: Any, at: int) -> tuple[int, int]:
    """Return the number of fields of the line at `at`, and where the next line starts."""
    fields = np.int64(0)
    before = _ONE
    blank = _mask(text, at, 0, _BLANKS)
    end = _mask(text, at, 10, 1)
    while end == np.uint64(0):
        fields += ones(~blank & ((blank << _ONE) | before))
        before = blank >> np.uint64(BLOCK - 1)
        at += BLOCK
        blank = _mask(text, at, 0, _BLANKS)
        end = _mask(text, at, 10, 1)
    line = end ^ (end - _ONE)
    return fields + ones(~blank & ((blank << _ONE) | before) & line), at + lowest(end) + 1


@_inlined
def _is_blank(byte: int) -> bool:
    return byte < _BLANKS


@_inlined
def _field(text: Any, at: int) -> tuple[int, int]:
    """Return where the next field of a line starts and ends; both are the line's end if it has no more."""
    while _is_blank(text[at]) and text[at] != 10:
        at += 1
    start = at
    while not _is_blank(text[at]):
        at += 1
    return start, at


@_inlined
def _integer(text: Any, at: int) -> tuple[int, bool]:
    """Return the integer that the first field at `at` spells, and whether it is one of 64 bits."""
    while _is_blank(text[at]) and text[at] != 10:
        at += 1
    negative = text[at] == 45
    at += negative or text[at] == 43
    digits = lowest(~_mask(text, at, 48, 10))
    value = np.uint64(0)
    for place in range(at, at + min(digits, 19)):
        value = value * np.uint64(10) + np.uint64(text[np.uint64(place)] - 48)
    good = 0 < digits <= 19 and _is_blank(text[at + digits]) and value < np.uint64(2**63)
    return (-np.int64(value) if negative else np.int64(value)), good


@_inlined
def _decimal(text: Any, start: int, end: int) -> tuple[float, bool]:
    """Return the number of a field, and whether one exact step sufficed; if not, it may be no number."""
    negative = text[start] == 45
    at = start + (negative or text[start] == 43)
    mantissa, power, digits, point = np.uint64(0), np.int64(0), 0, False
    while at < end and (48 <= text[at] <= 57 or (text[at] == 46 and not point)):
        if text[at] == 46:
            point = True
        else:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
            digits += 1
            power -= point
        at += 1
    exact = 0 < digits <= 19 and mantissa <= np.uint64(2**53)
    if at < end:
        exponent, whole = _integer(text, at + 1)
        exact = exact and whole and (text[at] | 32) == 101 and not _is_blank(text[at + 1])
        power += min(max(exponent, -99), 99)
    if not exact or abs(power) > 22:
        return 0.0, False
    number = np.float64(np.int64(mantissa))
    value = number / POWERS[-power] if power < 0 else number * POWERS[power]
    return (-value if negative else value), True


@_inlined
def _fixed(first: Any, high: Any, low: Any, digits: Any, minus: Any) -> float:
    """Return the number `d.ddd` from the words that start at its first digit and end 8 and 0 digits early."""
    mantissa = (first & np.uint64(15)) * TENS[digits] + _eight_digits(low & LOW_NIBBLES[digits])
    if digits > np.uint64(SHORT_FRACTION):
        mantissa += _eight_digits(high & HIGH_NIBBLES[digits]) * EIGHT_DIGITS
    return np.float64(np.int64(mantissa)) / SIGNED_POWERS[minus, digits]


@_inlined
def _fixed_at(text: Any, lead: int, end: int, minus: Any) -> float:
    digits = np.uint64(end - lead - 2)
    return _fixed(word(text, lead), word(text, end - 16), word(text, end - 8), digits, minus)


@_inlined
def _plain_point(text: Any, at: int, joints: Any, slot: int) -> bool:
    """Read x y z where each has the usual form `-?d.ddd` with one blank between; say whether they had."""
    blank = _mask(text, at, 0, _BLANKS)
    other = ~_mask(text, at, 48, 10)
    rest = blank & (blank - _ONE)
    last = rest & (rest - _ONE)
    blank_x, blank_y, blank_z = blank ^ rest, rest ^ last, last & (~last + _ONE)
    starts = _ONE | (blank_x << _ONE) | (blank_y << _ONE)
    minus = _mask(text, at, 45, 1) & starts
    leads = starts + minus
    points = leads << _ONE
    numbers = blank_z - _ONE
    if (
        last == np.uint64(0)
        or (_mask(text, at, 46, 1) & numbers) != points
        or (other & numbers) != (blank_x | blank_y | minus | points)
        or (leads & other) != np.uint64(0)
    ):
        return False
    end_x, end_y, end_z = lowest(blank_x), lowest(blank_y), lowest(blank_z)
    minus_x = minus & _ONE
    minus_y = (minus >> np.uint64(end_x + 1)) & _ONE
    minus_z = (minus >> np.uint64(end_y + 1)) & _ONE
    lead_x, lead_y, lead_z = np.int64(minus_x), end_x + 1 + np.int64(minus_y), end_y + 1 + np.int64(minus_z)
    if max(end_x - lead_x, end_y - lead_y, end_z - lead_z) > LONG_FRACTION + 2:
        return False
    joints[np.uint64(slot)] = _fixed_at(text, at + lead_x, at + end_x, minus_x)
    joints[np.uint64(slot + 1)] = _fixed_at(text, at + lead_y, at + end_y, minus_y)
    joints[np.uint64(slot + 2)] = _fixed_at(text, at + lead_z, at + end_z, minus_z)
    return True


@_compiled
def _read_odd(text: Any, odd: Any, joints: Any, deferred: Any) -> int:
    """Read x y z of any form; note the numbers left to Python and return how many there are."""
    count = 0
    for line in range(odd.shape[0]):
        slot, at = odd[line]
        for index in range(slot, slot + 3):
            start, at = _field(text, at)
            value, exact = _decimal(text, start, at)
            joints[index] = value
            if not exact:
                if count < deferred.shape[0]:
                    deferred[count, 0], deferred[count, 1], deferred[count, 2] = index, start, at
                count += 1
    return count


@_compiled
def _read(text: Any, frame: Any, body_id: Any, joints: Any, odd: Any) -> tuple[int, int, int, int]:
    """Return frames, records, lines of odd form and the end; frames are -1 where a line is at fault."""
    records, count = 0, 0
    fault = -1, 0, 0, 0
    size = text.size
    fields, at = _scan(text, 0)
    frames, good = _integer(text, 0)
    if not good or fields != 1:
        return fault
    for index in range(frames):
        if at >= size:
            return fault
        fields, after = _scan(text, at)
        bodies, good = _integer(text, at)
        if not good or fields != 1 or bodies < 0:
            return fault
        at = after
        if at + bodies > size:
            return fault
        for _ in range(bodies):
            if at >= size:
                return fault
            fields, after = _scan(text, at)
            body_id[records], good = _integer(text, at)
            frame[records] = index
            if not good or fields != BODY_FIELDS or after >= size:
                return fault
            fields, at = _scan(text, after)
            found, good = _integer(text, after)
            if not good or fields != 1 or found != JOINTS:
                return fault
            for slot in range(records * _VALUES, (records + 1) * _VALUES, 3):
                if at >= size:
                    return fault
                fields, after = _scan(text, at)
                if fields != JOINT_FIELDS:
                    return fault
                if not _plain_point(text, at, joints, slot):
                    if count < odd.shape[0]:
                        odd[count, 0], odd[count, 1] = slot, at
                    count += 1
                at = after
            records += 1
    return frames, records, count, at


def read(data: bytes) -> RawBodies | None:
    """Read NTU text; None where it is malformed."""
    if len(data) < BLOCK or not data.endswith(b"\n"):
        data = data + b"\n" * BLOCK
    text = np.frombuffer(data, np.uint8)
    lines, strange = _survey(text)
    if strange:
        return None
    room = lines // LINES_PER_BODY + 1
    frame, body_id = np.empty((2, room), np.int64)
    joints = np.empty(room * _VALUES, np.float32)
    odd = np.empty((_ROOM, 2), np.int64)
    frames, records, count, end = _read(text, frame, body_id, joints, odd)
    if frames < 0 or data[end:].strip():
        return None
    if count > len(odd):
        odd = np.empty((count, 2), np.int64)
        _read(text, frame, body_id, joints, odd)
    if count:
        deferred = np.empty((3 * count, 3), np.int64)
        left = _read_odd(text, odd[:count], joints, deferred)
        if not settle(joints, deferred[:left].tolist(), data):
            return None
    return RawBodies(
        frames=frames,
        frame=frame[:records],
        body_id=body_id[:records],
        joints=joints[: records * _VALUES].reshape(records, JOINTS, 3),
    )
