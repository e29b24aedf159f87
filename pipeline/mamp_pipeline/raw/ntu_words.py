"""Many numbers at once by NumPy: those of the usual form `-?d.ddd`, from words that end where they end."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.ntu_digits import (
    EIGHT_DIGITS,
    HIGH_NIBBLES,
    MAX_FRACTION_DIGITS,
    LOW_NIBBLES,
    WORD_DIGITS,
    SIGN_BIT,
    SIGNED_POWERS,
    TENS,
    eight_digits,
)

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
