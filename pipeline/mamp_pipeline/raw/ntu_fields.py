"""The shape of NTU text and the grammar of its fields, one field at a time."""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
LINES_PER_BODY = 2 + JOINTS
VALUES_PER_BODY = 3 * JOINTS
MIN_BYTES_PER_BODY = 2 * BODY_FIELDS + len("25\n") + JOINTS * 2 * JOINT_FIELDS
"""The least text that a body record can take: one digit a field."""

DECIMAL = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Half a step above the largest float32: from here on a double rounds to infinity.
FLOAT32_BOUND = 2.0**128 - 2.0**103


def read_integer(field: bytes) -> int | None:
    """Return the integer a field spells, or None where it is none of 64 bits (or of more than 19 digits)."""
    digits = field[1:] if field.startswith((b"+", b"-")) else field
    if not digits.isdigit() or len(digits) > 19:
        return None
    value = int(field)
    return value if abs(value) < 2**63 else None


def read_decimal(field: bytes) -> float | None:
    """Return the correctly rounded double a field spells, or None where it is none or beyond float32."""
    if not DECIMAL.fullmatch(field):
        return None
    value = float(field)
    return value if abs(value) < FLOAT32_BOUND else None


def resolve_fields(joints: NDArray[np.float32], deferred: Iterable[tuple[int, int, int]], text: bytes) -> bool:
    """Fill in the numbers that a fast reader left over.

    Args:
        joints: flat; written to.
        deferred: index into `joints`, then start and end of the field in `text`, of each such number.
        text: the text read.

    Returns:
        Whether every one of them is a number within float32.
    """
    for index, start, end in deferred:
        value = read_decimal(text[start:end])
        if value is None:
            return False
        joints[index] = value
    return True
