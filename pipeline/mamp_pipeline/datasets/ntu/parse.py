"""Parses NTU skeleton text (reference.md §1). The line parser is the reference, and names the line at fault."""

from collections.abc import Callable
from functools import cache

import numpy as np

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.io.number_text import read_decimal, read_integer
from mamp_pipeline.datasets.ntu.format import BODY_FIELDS, JOINT_FIELDS, JOINTS
from mamp_schemas.errors import RawFileError

_MAX_QUOTED = 40


def parse_ntu_lines(data: bytes) -> RawBodies:
    """Read a file's bodies, or say what is wrong with it.

    Memory grows with the file, whatever counts it declares.

    Raises:
        RawFileError: the file is malformed; names the first line at fault.
    """
    lines = _LineReader(data)
    declared = lines.read_count("frame count")
    frame: list[int] = []
    body_id: list[int] = []
    joints: list[list[float]] = []
    for index in range(declared):
        lines.context = f"frame {index + 1} of {declared}"
        for _ in range(lines.read_count("body count")):
            body_id.append(lines.read_body_id())
            lines.check_joint_count()
            joints.extend(lines.read_joint() for _ in range(JOINTS))
            frame.append(index)
    lines.check_end(declared)
    points = np.array(joints, np.float64).reshape(-1, JOINTS, 3).astype(np.float32)
    return RawBodies(declared, np.array(frame, np.int64), np.array(body_id, np.int64), points)


class _LineReader:
    """Reads a file line by line, and no further than the first line at fault.

    Attributes:
        context: what is being read, for the message about a file that ends too early.
    """

    def __init__(self, data: bytes) -> None:
        self._text = data.rstrip()
        self._next = 0 if self._text else 1
        """Where the next line begins; beyond the text if there is none."""
        self._number = 0
        self.context = "the frame count"

    def read_count(self, what: str) -> int:
        """Take a line of one number that is not negative."""
        (field,) = self._next_fields(what, 1)
        value = read_integer(field)
        if value is None or value < 0:
            raise self._error(f"{what} {_quote(field)} is not a whole number of at least 0")
        return value

    def read_body_id(self) -> int:
        """Take a body line; return the body id."""
        field = self._next_fields("body line", BODY_FIELDS)[0]
        value = read_integer(field)
        if value is None:
            raise self._error(f"body id {_quote(field)} is not a 64-bit whole number")
        return value

    def check_joint_count(self) -> None:
        """Take the line that declares a body's joints."""
        value = self.read_count("joint count")
        if value != JOINTS:
            raise self._error(f"joint count is {value}, expected {JOINTS}")

    def read_joint(self) -> list[float]:
        """Take a joint line; return x y z."""
        values = []
        for field in self._next_fields("joint line", JOINT_FIELDS)[:3]:
            value = read_decimal(field)
            if value is None:
                raise self._error(f"joint value {_quote(field)} is not a finite float32 number")
            values.append(value)
        return values

    def check_end(self, frames: int) -> None:
        """Make sure that nothing follows."""
        if self._next <= len(self._text):
            self._number += 1
            raise self._error(f"unexpected text after the last of {frames} frames")

    def _next_fields(self, what: str, expected: int) -> list[bytes]:
        if self._next > len(self._text):
            raise self._error(f"file ends after this line, inside {self.context}; expected a {what}")
        end = self._text.find(b"\n", self._next)
        end = len(self._text) if end < 0 else end
        fields = self._text[self._next : end].split()
        self._next = end + 1
        self._number += 1
        if len(fields) != expected:
            count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
            raise self._error(f"{what} has {count}, expected {expected}")
        return fields

    def _error(self, reason: str) -> RawFileError:
        return RawFileError(reason, line=self._number)


def _quote(field: bytes) -> str:
    text = field[:_MAX_QUOTED].decode("ascii", "backslashreplace")
    return f"'{text}{'…' if len(field) > _MAX_QUOTED else ''}'"


Parser = Callable[[bytes], RawBodies | None]


def parse_ntu(data: bytes) -> RawBodies:
    """Read a file's bodies.

    Every coordinate equals `np.float32(float(text))`. Only counts, body ids and the x y z of each joint are read
    as numbers; of the other fields only the count is checked.

    Args:
        data: the file.

    Raises:
        RawFileError: the file is malformed; names the line, what was got and what was expected.
    """
    bodies = choose_parser()(data)
    return parse_ntu_lines(data) if bodies is None else bodies


@cache
def choose_parser() -> Parser:
    """Return the compiled parser, which is None for malformed text; the line parser where numba is not installed."""
    try:
        from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        return parse_ntu_lines
    return parse_ntu_compiled


def warm_up_parser() -> None:
    """Load the compiled parser before the first file needs it: 0.3 s from numba's cache, 2.5 s to compile it."""
    odd = b"1e0 " * 3 + b"0 " * 9 + b"\n"
    parse_ntu(b"1\n1\n" + b"0 " * 10 + b"\n25\n" + 25 * odd)
