"""Reads integers and decimal numbers of raw text files, one field at a time."""

import re

DECIMAL = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


FLOAT32_BOUND = 2.0**128 - 2.0**103
"""Half a step above the largest float32: from here on a double rounds to infinity."""


def read_integer(field: bytes) -> int | None:
    """Return the integer that a field spells; None if it is not an integer of 64 bits and at most 19 digits."""
    digits = field[1:] if field.startswith((b"+", b"-")) else field
    if not digits.isdigit() or len(digits) > 19:
        return None
    value = int(field)
    return value if abs(value) < 2**63 else None


def read_decimal(field: bytes) -> float | None:
    """Return the correctly rounded double that a field spells; None if it is not a number within float32."""
    if not DECIMAL.fullmatch(field):
        return None
    value = float(field)
    return value if abs(value) < FLOAT32_BOUND else None
