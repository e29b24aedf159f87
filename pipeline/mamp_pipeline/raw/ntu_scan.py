"""Compiled scanning of text: its lines, fields and integers.

Every function takes a text, (n,) uint8 of at least a block that ends in a line end, and a place in it, 0..n-1.
What separates fields is what separates them for Python: space, tab, carriage return, vertical tab and form feed.
"""

from typing import Any

import numpy as np

from mamp_pipeline.raw.ntu_compile import inline_njit
from mamp_pipeline.raw.ntu_masks import BLOCK, lowest_bit, byte_mask, count_ones

ONE_BIT: Any = np.uint64(1)
NO_BITS: Any = np.uint64(0)
LINE_END = 10
_TAB, _BLANKS_FROM_TAB, _SPACE = 9, 5, 32
_ZERO, _PLUS, _MINUS = 48, 43, 45


@inline_njit
def is_blank(byte: int) -> bool:
    """Say whether a byte separates fields or ends a line."""
    return byte == _SPACE or 0 <= byte - _TAB < _BLANKS_FROM_TAB


@inline_njit
def blanks(text: Any, at: int) -> Any:
    """Mask of the bytes from `at` on that separate fields or end a line."""
    return byte_mask(text, at, _SPACE, 1) | byte_mask(text, at, _TAB, _BLANKS_FROM_TAB)


@inline_njit
def scan_line(text: Any, at: int) -> tuple[int, int]:
    """Return the number of fields of the line that starts at `at`, and where the next line starts."""
    fields = np.int64(0)
    before = ONE_BIT
    blank, end = blanks(text, at), byte_mask(text, at, LINE_END, 1)
    while end == NO_BITS:
        fields += count_ones(~blank & ((blank << ONE_BIT) | before))
        before = blank >> np.uint64(BLOCK - 1)
        at += BLOCK
        blank, end = blanks(text, at), byte_mask(text, at, LINE_END, 1)
    line = end ^ (end - ONE_BIT)
    return fields + count_ones(~blank & ((blank << ONE_BIT) | before) & line), at + lowest_bit(end) + 1


@inline_njit
def find_field(text: Any, at: int) -> tuple[int, int]:
    """Return where the line's next field starts and ends; both are the line's end where it has no more."""
    while is_blank(text[at]) and text[at] != LINE_END:
        at += 1
    start = at
    while not is_blank(text[at]):
        at += 1
    return start, at


@inline_njit
def scan_sign(text: Any, at: int) -> tuple[bool, int]:
    """Return whether a number is negative and where its digits start."""
    negative = text[at] == _MINUS
    return negative, at + (negative or text[at] == _PLUS)


@inline_njit
def scan_integer(text: Any, at: int) -> tuple[Any, bool]:
    """Return the integer that the line's next field spells, and whether it is one of 64 bits."""
    start, end = find_field(text, at)
    negative, start = scan_sign(text, start)
    digits = end - start
    value = NO_BITS
    good: Any = 0 < digits <= 19
    for place in range(start, start + min(digits, 19)):
        digit = np.uint64(text[place]) - np.uint64(_ZERO)
        good &= digit <= np.uint64(9)
        value = value * np.uint64(10) + digit
    good &= value < np.uint64(2**63)
    return (-np.int64(value) if negative else np.int64(value)), good
