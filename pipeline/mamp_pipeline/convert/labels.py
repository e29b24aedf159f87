"""The labels of an existing file: one-hot rows or class numbers, checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.existing import FileArray, LabelKind
from mamp_schemas.errors import RawInputError

_LABEL_BLOCK = 4_096


@dataclass(frozen=True)
class FileLabels:
    """Labels as a file has them.

    Attributes:
        classes: the width of one-hot rows; None for class numbers, which do not tell.
        values: (clips,) 0-based.
    """

    kind: LabelKind
    classes: int | None
    values: NDArray[np.int64]


def read_labels(array: FileArray) -> FileLabels:
    """Read labels, either (clips, classes) one-hot or (clips,) whole numbers.

    Raises:
        RawInputError: neither of them, or a row that is not one-hot.
    """
    if len(array.shape) == 2 and array.dtype.kind in "fiub":
        values = [_read_one_hot(array, block, start * _LABEL_BLOCK) for start, block in enumerate(array.read_blocks(_LABEL_BLOCK))]
        return FileLabels("one_hot", array.shape[1], np.concatenate([np.zeros(0, dtype=np.int64), *values]))
    if len(array.shape) == 1 and array.dtype.kind in "iu":
        values = [_read_numbers(array, block, start * _LABEL_BLOCK) for start, block in enumerate(array.read_blocks(_LABEL_BLOCK))]
        return FileLabels("index", None, np.concatenate([np.zeros(0, dtype=np.int64), *values]))
    raise RawInputError(
        f"'{array.key}' has shape {array.shape} and dtype {array.dtype}, "
        "expected one-hot rows (clips, classes) or whole numbers (clips,)"
    )


def _read_one_hot(array: FileArray, block: NDArray[Any], first: int) -> NDArray[np.int64]:
    ones = block == 1
    good = (ones.sum(axis=1) == 1) & ((block == 0) | ones).all(axis=1)
    if not good.all():
        row = first + int(np.argmin(good))
        raise RawInputError(f"'{array.key}', row {row}: not one-hot; expected a single 1 and zeros")
    return np.asarray(ones.argmax(axis=1), dtype=np.int64)


def _read_numbers(array: FileArray, block: NDArray[Any], first: int) -> NDArray[np.int64]:
    low = np.asarray(block < 0)
    if low.any():
        row = int(np.argmax(low))
        raise RawInputError(f"'{array.key}', row {first + row}: label {block[row]}, expected a class from 0 on")
    return np.asarray(np.minimum(block, np.iinfo(np.int64).max), dtype=np.int64)
