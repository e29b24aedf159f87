"""Compiled reading of a joint's x y z: the usual form by masks and words, any other field by field."""

from typing import Any

import numpy as np

from mamp_pipeline.raw import ntu_digits
from mamp_pipeline.raw.ntu_compile import inline_njit
from mamp_pipeline.raw.ntu_digits import (
    EIGHT_DIGITS,
    EXACT_MANTISSA,
    EXACT_POWER,
    HIGH_NIBBLES,
    MAX_FRACTION_DIGITS,
    LOW_NIBBLES,
    POWERS,
    WORD_DIGITS,
    SIGN_BIT,
    SIGNED_POWERS,
    TENS,
)
from mamp_pipeline.raw.ntu_masks import lowest_bit, byte_mask, load_word
from mamp_pipeline.raw.ntu_scan import NO_BITS, ONE_BIT, blanks, is_blank, scan_integer, scan_sign

_MINUS_SIGN, _POINT, _DIGIT_ZERO, _NINE, _SMALL_E, _LOWER_CASE_BIT = 45, 46, 48, 57, 101, 32

_MAX_PLAIN_CHARS = MAX_FRACTION_DIGITS + len("0.")

_eight_digits = inline_njit(ntu_digits.eight_digits)


@inline_njit
def _plain_number(text: Any, lead: Any, end: Any, minus: Any) -> Any:
    """Return the number `d.ddd` whose first digit is at `lead`; `minus` is its sign's bit."""
    digits = np.uint64(end - lead - 2)
    first = np.uint64(text[np.uint64(lead)]) - np.uint64(_DIGIT_ZERO)
    mantissa = first * TENS[digits] + _eight_digits(load_word(text, end - 8) & LOW_NIBBLES[digits])
    if digits > np.uint64(WORD_DIGITS):
        mantissa += _eight_digits(load_word(text, end - 16) & HIGH_NIBBLES[digits]) * EIGHT_DIGITS
    return np.float64(np.int64(mantissa)) / SIGNED_POWERS[(minus << np.uint64(SIGN_BIT)) | digits]


@inline_njit
def _plain_ends(text: Any, at: int) -> tuple[bool, Any, Any, Any, Any]:
    """Say whether three numbers `-?d.ddd` with a blank after each start here; the blanks and the minus signs."""
    blank, other = blanks(text, at), ~byte_mask(text, at, _DIGIT_ZERO, 10)
    after_x = blank & (blank - ONE_BIT)
    after_y = after_x & (after_x - ONE_BIT)
    blank_x, blank_y, blank_z = blank ^ after_x, after_x ^ after_y, after_y & (~after_y + ONE_BIT)
    numbers = blank_z - ONE_BIT
    starts = ONE_BIT | (blank_x << ONE_BIT) | (blank_y << ONE_BIT)
    minus = byte_mask(text, at, _MINUS_SIGN, 1) & starts
    leads = starts + minus
    points = leads << ONE_BIT
    plain = (
        blank_z != NO_BITS
        and byte_mask(text, at, _POINT, 1) & numbers == points
        and other & numbers == blank_x | blank_y | minus | points
        and leads & other == NO_BITS
    )
    return plain, blank_x, blank_y, blank_z, minus


@inline_njit
def scan_plain_point(text: Any, at: int, joints: Any, slot: int) -> bool:
    """Read x y z where all three have the usual form `-?d.ddd`, one blank after each.

    Args:
        text: as in ntu_scan, with at least 16 bytes before `at`.
        at: the start of a line of at least three fields.
        joints: flat; written to at `slot` and the two places after.
        slot: the place of x.

    Returns:
        Whether they have that form; if not, nothing is written.
    """
    plain, blank_x, blank_y, blank_z, minus = _plain_ends(text, at)
    if not plain:
        return False
    end_x, end_y, end_z = lowest_bit(blank_x), lowest_bit(blank_y), lowest_bit(blank_z)
    minus_x = minus & ONE_BIT
    minus_y = (minus >> np.uint64(end_x + 1)) & ONE_BIT
    minus_z = (minus >> np.uint64(end_y + 1)) & ONE_BIT
    lead_x, lead_y, lead_z = np.int64(minus_x), end_x + 1 + np.int64(minus_y), end_y + 1 + np.int64(minus_z)
    if (end_x - lead_x > _MAX_PLAIN_CHARS) | (end_y - lead_y > _MAX_PLAIN_CHARS) | (end_z - lead_z > _MAX_PLAIN_CHARS):
        return False
    place = np.uint64(slot)
    joints[place] = _plain_number(text, at + lead_x, at + end_x, minus_x)
    joints[place + ONE_BIT] = _plain_number(text, at + lead_y, at + end_y, minus_y)
    joints[place + np.uint64(2)] = _plain_number(text, at + lead_z, at + end_z, minus_z)
    return True


@inline_njit
def scan_number(text: Any, start: int, end: int) -> tuple[float, bool]:
    """Return the number that a field spells, and whether one exact step gave it.

    Where it did not, the field is left to `ntu_fields.read_decimal`, which also finds out what is no number.
    """
    negative, at = scan_sign(text, start)
    mantissa, power, digits, pointed = NO_BITS, np.int64(0), 0, False
    while _DIGIT_ZERO <= text[at] <= _NINE or (text[at] == _POINT and not pointed):
        if text[at] == _POINT:
            pointed = True
        else:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - _DIGIT_ZERO)
            digits += 1
            power -= pointed
        at += 1
    exact = 0 < digits <= 19 and mantissa <= np.uint64(EXACT_MANTISSA)
    if at < end:
        exponent, whole = scan_integer(text, at + 1)
        exact &= whole and text[at] | _LOWER_CASE_BIT == _SMALL_E and not is_blank(text[at + 1])
        power += min(max(exponent, -2 * EXACT_POWER), 2 * EXACT_POWER)
    if not exact or abs(power) > EXACT_POWER:
        return 0.0, False
    value = np.float64(np.int64(mantissa))
    value = value / POWERS[-power] if power < 0 else value * POWERS[power]
    return (-value if negative else value), True
