"""The numbers of an existing file: brought to float32 unchanged, or refused with their place."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import RawInputError

MAX_METRES = 1e36
"""Metres. Beyond it, sums over the coordinates of a frame leave the range of float32."""


def as_float32(values: NDArray[Any], locate: Callable[[tuple[int, ...]], str]) -> NDArray[np.float32]:
    """Return values as contiguous float32, each of them equal to what it was.

    Args:
        values: floating-point numbers of any width.
        place: names the place of an index, for messages.

    Raises:
        RawInputError: one is not finite, too large, or not a float32.
    """
    if not values.size:
        return np.zeros(values.shape, dtype=np.float32)
    # Written so that NaN, which no comparison finds true, is refused.
    if not (float(values.max()) <= MAX_METRES and float(values.min()) >= -MAX_METRES):
        wide = values.astype(np.float64)
        index = tuple(np.argwhere(~(np.abs(wide) <= MAX_METRES))[0].tolist())
        raise RawInputError(
            f"{locate(index)}: got {values[index]}, expected a finite number of metres, at most {MAX_METRES:g}",
            remedy="Repair or leave out that clip, and write the file again.",
        )
    single = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.itemsize > single.dtype.itemsize and not np.array_equal(single, values):
        index = tuple(np.argwhere(single != values)[0].tolist())
        raise RawInputError(
            f"{locate(index)}: {values[index]} is not a float32 number; an export could not give it back",
            remedy="Write the file again with its coordinates rounded: x.astype(np.float32).",
        )
    return single
