"""Read untrusted pickles of plain values and numpy arrays without running them.

Arrays are rebuilt here with every size checked, because numpy's own constructors trust the pickle.
"""

import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import RawInputError
from mamp_schemas.io.pickle_machine import PARSE_ERRORS, PickleMachine, Stateful
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.system import free_host_memory

_DTYPE = re.compile(r"[<>|=]?([fiu][1248]|b1|[US][1-9]\d{0,3})")

MAX_DIMENSIONS: Final = 32


class PickledArray(Stateful):
    """An array of a pickle.

    Attributes:
        values: the array; None until its state has been read.
    """

    __slots__ = ("values",)

    def __init__(self, values: NDArray[Any] | None = None) -> None:
        self.values = values

    def set_state(self, state: object) -> None:
        """Make the array of numpy's state."""
        if not (isinstance(state, tuple) and len(state) == 5):
            raise UnpicklingError("an array with a state of unknown form")
        _, shape, dtype, fortran, data = state
        self.values = _make_array(shape, dtype, data, "F" if fortran is True else "C")


class _PickledDtype(Stateful):
    """A dtype of a pickle: plain numbers and strings only."""

    __slots__ = ("name", "order")

    def __init__(self, name: object, *_: object) -> None:
        if not (isinstance(name, str) and _DTYPE.fullmatch(name)):
            shown = f"dtype {ascii(name[:40])[1:-1]}" if isinstance(name, str) else "unknown dtype"
            raise UnpicklingError(f"an array of {shown}, not of plain numbers or strings")
        self.name, self.order = name, name[0] if name[0] in "<>" else "="

    def set_state(self, state: object) -> None:
        # Version and byte order, then subarray, field names and fields, which plain dtypes do not have.
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise UnpicklingError("a dtype with a state of unknown form")
        if any(part is not None for part in state[2:5]):
            raise UnpicklingError("an array of records, not of plain numbers or strings")
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name).newbyteorder(self.order)  # type: ignore[arg-type]


def check_characters(data: bytes | bytearray, dtype: np.dtype[Any]) -> None:
    """Check that the bytes of an array of text are characters; of any other array nothing is checked.

    Raises:
        ValueError: they are not; Python would raise a SystemError as soon as it makes text of them.
    """
    if dtype.kind == "U" and (np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder)) > sys.maxunicode).any():
        raise ValueError("an array of text with numbers that are no characters")


def _make_array(shape: object, dtype: object, data: object, order: object = "C") -> NDArray[Any]:
    if isinstance(dtype, str):
        dtype = _PickledDtype(dtype)
    if not (isinstance(dtype, _PickledDtype) and isinstance(data, bytes | bytearray) and isinstance(shape, tuple)):
        raise UnpicklingError("an array that is not given by shape, dtype and bytes")
    if len(shape) > MAX_DIMENSIONS or not all(type(size) is int and size >= 0 for size in shape):
        raise UnpicklingError(f"an array whose shape is not of at most {MAX_DIMENSIONS} whole numbers")
    plain = dtype.dtype()
    if math.prod(shape) * plain.itemsize != len(data):
        raise UnpicklingError(f"an array of shape {shape} and dtype {plain} in {len(data)} bytes")
    check_characters(data, plain)
    return np.frombuffer(data, dtype=plain).reshape(shape, order="F" if order == "F" else "C")


def _frombuffer(data: object, dtype: object, shape: object, order: object, *_: object) -> PickledArray:
    return PickledArray(_make_array(shape, dtype, data, order))


def _ndarray(shape: object, dtype: object, data: object) -> PickledArray:
    return PickledArray(_make_array(shape, dtype, data))


def _scalar(dtype: object, data: object) -> object:
    return _make_array((), dtype, data).item()


def _bytes(data: object = b"") -> bytes:
    if not isinstance(data, bytes):
        raise UnpicklingError("bytes made of something else")
    return data


def _set(items: object = ()) -> list[object] | tuple[object, ...]:
    if not isinstance(items, list | tuple):
        raise UnpicklingError("a set made of something else than a list")
    return items


ALLOWED_CONSTRUCTORS: Mapping[tuple[str, str], Callable[..., object]] = {
    ("numpy", "dtype"): _PickledDtype,
    ("numpy", "ndarray"): _ndarray,
    **{
        (f"numpy.{core}.{module}", name): make
        for core in ("core", "_core")
        for module, name, make in (
            ("multiarray", "_reconstruct", lambda *_: PickledArray()),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _frombuffer),
        )
    },
    **{
        (module, name): make
        for module in ("builtins", "__builtin__")
        for name, make in (("bytes", _bytes), ("bytearray", _bytes), ("set", _set), ("frozenset", _set))
    },
}
"""What a pickle may call, besides the encoding of bytes as text."""


def load_pickle(path: Path) -> object:
    """Read a pickle of plain containers, numbers, strings and numpy arrays. It is read into memory as a whole.

    Returns:
        What was pickled, each array as a `PickledArray` and each set as a list or tuple of its items.

    Raises:
        RawInputError: it cannot be read, or names anything else; nothing of it has been executed.
    """
    try:
        with open_regular(path) as file:
            size, free = os.fstat(file.fileno()).st_size, free_host_memory()
            if size > free:
                raise RawInputError(
                    f"{path}: has {size:,} bytes, {free:,} bytes of memory are free; a pickle is read as a whole",
                    remedy="Import it on a machine with more memory, or divide the file.",
                )
            return PickleMachine(size, ALLOWED_CONSTRUCTORS.get).run(file)
    except OSError as problem:
        raise RawInputError(f"{path}: cannot be read ({problem.strerror})", remedy="Check the path.") from None
    except UnpicklingError as problem:
        raise RawInputError(
            f"{path}: refused: {problem}",
            remedy="Only numpy arrays, numbers, strings, lists, tuples, sets and dictionaries are read from a pickle, "
            "whole numbers up to 128 bits; write the file again with those.",
        ) from None
    except PARSE_ERRORS as problem:
        raise RawInputError(
            f"{path}: not a readable pickle ({type(problem).__name__}: {str(problem)[:200]})",
            remedy="Make or fetch the file again.",
        ) from None
