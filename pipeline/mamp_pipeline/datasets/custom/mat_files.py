"""Own recordings as MATLAB's mat, version 5 (`save` with -v6 or -v7): one variable is the array of positions.

A file is a header of 128 bytes and data elements, one for each variable, each packed by zlib or not. An element has a
tag of type and size; a matrix is an element of elements: flags, dimensions, name, numbers. Only what a layout uses is
looked into; objects are never made.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.custom.normalise import Positions
from mamp_pipeline.datasets.custom.npy_files import take_positions
from mamp_pipeline.datasets.io.read import MAX_RAW_BYTES
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout_files import MatFiles
from mamp_schemas.models.skeleton import Skeleton

_HEADER = 128
_MATRIX, _PACKED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's kinds by the type of an element; a variable of doubles is stored in the smallest that holds it."""
_CLASSES = {
    1: "a cell array",
    2: "a struct",
    3: "an object",
    4: "text",
    5: "a sparse matrix",
    16: "a function",
    17: "an object",
}
_NUMERIC = range(6, 16)
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_MAX_DIMENSIONS = 8


def parse_mat(data: bytes, files: MatFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; a body is known by its index along M.

    Raises:
        RawFileError: not a mat file of version 5, cut short, without the variable, with others that the layout does
            not name, or the variable is not an array of numbers of the shape that layout and skeleton say.
    """
    variables = list(_read_variables(data))
    names = [variable.name for variable in variables]
    found = ", ".join(f"'{name}'" for name in names[:10]) or "none"
    if files.variable is None and len(names) != 1:
        raise RawFileError(
            f"{len(names)} variables: {found}; `variable` in the layout's files names the one of the positions, and "
            "`unused` those that are left"
        )
    name = names[0] if files.variable is None else files.variable
    if names.count(name) != 1:
        raise RawFileError(f"{names.count(name)} variables are called '{name}'; the file's variables are: {found}")
    others = [other for other in names if other != name and not files.leaves(other)]
    if others:
        listed = ", ".join(f'"{other}"' for other in others[:10])
        raise RawFileError(
            f"the layout does not use {', '.join(map(repr, others[:10]))}; to leave them: `unused: [{listed}]` in the "
            "layout's files"
        )
    array = variables[names.index(name)].read()
    # MATLAB drops trailing axes of length 1: those of a single frame, body or joint.
    array = array.reshape(array.shape + (1,) * (len(files.order) - array.ndim))
    return take_positions(array, files, skeleton)


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable of a file: its name, flags and dimensions, and the element of its numbers, not yet read."""

    name: str
    flags: int
    shape: tuple[int, ...]
    numbers: memoryview
    order: str

    def read(self) -> NDArray[np.generic]:
        kind = self.flags & 0xFF
        if kind not in _NUMERIC or self.flags & (_COMPLEX | _LOGICAL):
            what = _CLASSES.get(kind, "no array of numbers")
            what = "complex numbers" if self.flags & _COMPLEX else "true and false" if self.flags & _LOGICAL else what
            raise RawFileError(f"variable '{self.name}' is {what}, expected an array of numbers: save that alone")
        if not all(self.shape):
            raise RawFileError(f"variable '{self.name}' of shape {self.shape} holds nothing")
        stored, content, _ = _read_element(self.numbers, 0, self.order)
        if stored not in _NUMBERS:
            raise RawFileError(f"variable '{self.name}' holds elements of type {stored}, expected numbers")
        dtype = np.dtype(self.order + _NUMBERS[stored])
        size = math.prod(self.shape) * dtype.itemsize
        if len(content) != size:
            raise RawFileError(f"{len(content)} bytes of numbers, expected {size} for shape {self.shape} of {dtype}")
        return np.frombuffer(content, dtype).reshape(self.shape, order="F")


def _read_variables(data: bytes) -> Iterator[_Variable]:
    """Yield the variables of a file in its order; their numbers are views of its bytes, or of what was packed."""
    mark = data[124:_HEADER]
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data.startswith(b"MATLAB 7.3"):
        raise RawFileError("a mat file of version 7.3: save it with `save(file, 'variable', '-v7')` in MATLAB")
    if mark not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise RawFileError("not a mat file of version 5, which MATLAB's `save` with -v7 writes")
    order, left = "<" if mark.endswith(b"IM") else ">", MAX_RAW_BYTES
    view, at = memoryview(data), _HEADER
    while at < len(view):
        kind, content, at = _read_element(view, at, order, pad=False)
        if kind == _PACKED:
            unpacked = _unpack(content, left)
            left -= len(unpacked)
            kind, content, _ = _read_element(memoryview(unpacked), 0, order)
        if kind != _MATRIX:
            raise RawFileError(f"an element of type {kind} where a variable is expected")
        yield _read_variable(content, order)


def _unpack(content: memoryview, limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(content, limit + 1)
    except zlib.error as problem:
        raise RawFileError(f"cannot be unpacked ({problem})") from None
    if len(unpacked) > limit:
        raise RawFileError(f"more than {MAX_RAW_BYTES:,} bytes when unpacked, the most that a raw file may have")
    return unpacked


def _read_element(view: memoryview, at: int, order: str, *, pad: bool = True) -> tuple[int, memoryview, int]:
    """Return an element's type and content, and where the next one begins.

    Args:
        view: elements, one after the other.
        at: where the element begins.
        order: "<" or ">", the byte order.
        pad: whether elements begin at multiples of 8 bytes, as inside a variable.
    """
    if at + 8 > len(view):
        raise RawFileError(f"the file is cut short: {len(view) - at} bytes where an element's tag is expected")
    kind, size = struct.unpack_from(f"{order}II", view, at)
    if kind >> 16:  # up to four bytes stand in the tag itself
        size, kind = kind >> 16, kind & 0xFFFF
        if size > 4:
            raise RawFileError(f"a short element of {size} bytes, at most 4 are possible")
        return kind, view[at + 4 : at + 4 + size], at + 8
    start = at + 8
    if start + size > len(view):
        raise RawFileError(f"the file is cut short: {len(view) - start} bytes of an element, expected {size}")
    return kind, view[start : start + size], start + size + (-size % 8 if pad else 0)


def _read_variable(content: memoryview, order: str) -> _Variable:
    _, flags, at = _read_element(content, 0, order)
    _, dimensions, at = _read_element(content, at, order)
    _, name, at = _read_element(content, at, order)
    rank = len(dimensions) // 4
    if len(flags) != 8 or len(dimensions) % 4 or not 1 <= rank <= _MAX_DIMENSIONS:
        raise RawFileError(f"a variable with {len(flags)} bytes of flags and {rank} dimensions")
    shape = struct.unpack(f"{order}{rank}i", dimensions)
    if min(shape) < 0:
        raise RawFileError(f"a variable of shape {shape}")
    (bits,) = struct.unpack_from(f"{order}I", flags)
    return _Variable(bytes(name).decode("ascii", "backslashreplace"), bits, shape, content[at:], order)
