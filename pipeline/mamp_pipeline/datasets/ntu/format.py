"""The shape of NTU skeleton text, in fields and lines a body."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.io.number_text import read_decimal

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
LINES_PER_BODY = 2 + JOINTS
VALUES_PER_BODY = 3 * JOINTS
MIN_BYTES_PER_BODY = 2 * BODY_FIELDS + len("25\n") + JOINTS * 2 * JOINT_FIELDS
"""The least text that a body record can take: one digit a field."""


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
