"""Read untrusted pickles without running them. Nothing that a pickle names is imported or called.

Only plain values and numpy arrays are accepted. Arrays are rebuilt here with every size checked, because numpy's own
constructors trust the pickle.
"""

import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import RawInputError
from mamp_schemas.io.regular_files import open_regular

_DTYPE = re.compile(r"[<>|=]?([fiu][1248]|b1|[US]\d{1,4})")


class PickledArray:
    """An array of a pickle.

    Attributes:
        values: the array; None until its state has been read.
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
        # Version and byte order, then subarray, field names and fields, which plain dtypes do not have.
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


_PARSE_ERRORS = (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError, MemoryError)

_MEMO_OPCODES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def load_pickle(path: Path) -> object:
    """Read a pickle of plain containers, numbers, strings and numpy arrays. It is read into memory as a whole.

    Returns:
        What was pickled, each array as a `PickledArray`.

    Raises:
        RawInputError: it cannot be read, or names anything else; nothing of it has been executed.
    """
    try:
        with open_regular(path) as file:
            _check_memo_indices(file)
            file.seek(0)
            return _SafeUnpickler(file).load()
    except OSError as problem:
        raise RawInputError(f"{path}: cannot be read ({problem.strerror})") from None
    except pickle.UnpicklingError as problem:
        raise RawInputError(
            f"{path}: refused: {problem}",
            remedy="Only numpy arrays, numbers, strings, lists, tuples, sets and dictionaries are read from a pickle; "
            "write the file again with those.",
        ) from None
    except _PARSE_ERRORS as problem:
        raise RawInputError(
            f"{path}: not a readable pickle ({type(problem).__name__}: {problem})",
            remedy="Make or fetch the file again.",
        ) from None


def _check_memo_indices(file: BinaryIO) -> None:
    """Refuse a pickle that gives an object a huge number: the reader would allocate memory for that many objects."""
    for count, (instruction, number, _) in enumerate(pickletools.genops(file)):
        if instruction.name in _MEMO_OPCODES and isinstance(number, int) and number > count:
            raise pickle.UnpicklingError(f"it gives an object the number {number} after {count} instructions")


class _SafeConstructor:
    """Replaces a name in a pickle. It can only be called."""

    __slots__ = ("_make",)
    _make: Callable[..., object]

    def __init__(self, make: Callable[..., object]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"a name whose '{name}' it tries to set")


class _SafeUnpickler(pickle.Unpickler):
    """Resolves names to `CONSTRUCTORS` only."""

    def find_class(self, module: str, name: str) -> object:
        make = ALLOWED_CONSTRUCTORS.get((module, name))
        if make is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is neither an array nor a plain value")
        return _SafeConstructor(make)
