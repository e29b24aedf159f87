"""Stand-ins for what pickles may name: arrays, their dtypes and scalars, bytes and sets, made with every size checked.

numpy's own constructors would trust the pickle: a dtype can point beyond its array's memory.
"""

import math
import re
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPE = re.compile(r"[<>|=]?([fiu][1248]|b1|[US]\d{1,4})")


class PickledArray:
    """An array of a pickle.

    Attributes:
        values: the array; None until its state was read.
    """

    __slots__ = ("values",)

    def __init__(self, values: NDArray[Any] | None = None) -> None:
        self.values = values

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise UnpicklingError("an array with a state of unknown form")
        _, shape, dtype, fortran, data = state
        self.values = _make_array(shape, dtype, data, "F" if fortran is True else "C")


class _PickledDtype:
    """A dtype of a pickle: plain numbers and strings only."""

    __slots__ = ("name", "order")

    def __init__(self, name: object, *_: object) -> None:
        if not (isinstance(name, str) and _DTYPE.fullmatch(name)):
            shown = f"dtype {name[:40]}" if isinstance(name, str) else "unknown dtype"
            raise UnpicklingError(f"an array of {shown}, not of plain numbers or strings")
        self.name, self.order = name, "="

    def __setstate__(self, state: object) -> None:
        # Version, byte order, then subarray, field names and fields, which plain dtypes do not have.
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise UnpicklingError("a dtype with a state of unknown form")
        if any(part is not None for part in state[2:5]):
            raise UnpicklingError("an array of records, not of plain numbers or strings")
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name).newbyteorder(self.order)  # type: ignore[arg-type]


def _make_array(shape: object, dtype: object, data: object, order: object = "C") -> NDArray[Any]:
    if isinstance(dtype, str):
        dtype = _PickledDtype(dtype)
    if not (isinstance(dtype, _PickledDtype) and isinstance(data, bytes | bytearray) and isinstance(shape, tuple)):
        raise UnpicklingError("an array that is not given by shape, dtype and bytes")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise UnpicklingError("an array whose shape is not of whole numbers")
    plain = dtype.dtype()
    if math.prod(shape) * plain.itemsize != len(data):
        raise UnpicklingError(f"an array of shape {shape} and dtype {plain} in {len(data)} bytes")
    return np.frombuffer(data, dtype=plain).reshape(shape, order="F" if order == "F" else "C")


def _frombuffer(data: object, dtype: object, shape: object, order: object, *_: object) -> PickledArray:
    return PickledArray(_make_array(shape, dtype, data, order))


def _ndarray(shape: object, dtype: object, data: object) -> PickledArray:
    return PickledArray(_make_array(shape, dtype, data))


def _scalar(dtype: object, data: object) -> object:
    return _make_array((), dtype, data).item()


def _encode(text: object, codec: object) -> bytes:
    if not (isinstance(text, str) and codec == "latin1"):
        raise UnpicklingError("bytes of an encoding other than latin1")
    return text.encode("latin1")


def _bytes(data: object = b"") -> bytes:
    if not isinstance(data, bytes):
        raise UnpicklingError("bytes made of something else")
    return data


def _set(items: object = ()) -> set[object]:
    if not isinstance(items, list | tuple):
        raise UnpicklingError("a set made of something else than a list")
    return set(items)


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
    ("_codecs", "encode"): _encode,
}
