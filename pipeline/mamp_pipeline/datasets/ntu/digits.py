"""Exact numbers from runs of ASCII digits, eight bytes at a time."""

import numpy as np
from numpy.typing import NDArray

WORD_DIGITS = 8
"""Digits that one word holds."""

MAX_FRACTION_DIGITS = 14
"""With one digit before the point, up to here a mantissa stays below 2^53 and its power of ten is exact."""

EXACT_POWER = 22
EXACT_MANTISSA = 2**53
"""Within these a double holds power of ten and mantissa exactly, so one step between them rounds correctly."""

POWERS = np.array([float(f"1e{power}") for power in range(EXACT_POWER + 1)])

SIGN_BIT = 4
SIGNED_POWERS = np.concatenate((POWERS[: 1 << SIGN_BIT], -POWERS[: 1 << SIGN_BIT]))
"""By the sign, at this bit, and the power below it; dividing by a negative one keeps the sign of a zero."""

TENS = np.array([10**power for power in range(1 << SIGN_BIT)], np.uint64)


def _low_nibbles(last: int) -> int:
    """Return the mask of the low nibbles of a word's last bytes, all 8 of them at most."""
    beyond = 8 * (8 - min(max(last, 0), 8))
    return 0x0F0F0F0F0F0F0F0F >> beyond << beyond


LOW_NIBBLES = np.array([_low_nibbles(digits) for digits in range(1 << SIGN_BIT)], np.uint64)
"""By the length of a fraction: which nibbles of its last word count."""

HIGH_NIBBLES = np.array([_low_nibbles(digits - WORD_DIGITS) for digits in range(1 << SIGN_BIT)], np.uint64)
"""By the length of a fraction: which nibbles of the word before its last count."""

EIGHT_DIGITS = np.uint64(10**8)


def eight_digits(nibbles: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the number that eight digits spell, by adding neighbours: pairs, then fours, then all.

    Args:
        nibbles: any shape or a scalar; a digit's value in each byte, the leading digit in the lowest byte.
    """
    pairs = ((nibbles * np.uint64(10 * 2**8 + 1)) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    fours = ((pairs * np.uint64(100 * 2**16 + 1)) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return (fours * np.uint64(10_000 * 2**32 + 1)) >> np.uint64(32)
