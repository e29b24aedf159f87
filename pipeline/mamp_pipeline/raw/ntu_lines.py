"""NTU text read line by line: slow, and exact about which line is at fault. The fast readers' last word."""

import numpy as np

from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.ntu_fields import BODY_FIELDS, JOINT_FIELDS, JOINTS, read_decimal, read_integer
from mamp_schemas.errors import RawFileError

_SHOWN = 40


def read_lines(data: bytes) -> RawBodies:
    """Read a file's bodies, or say what is wrong with it.

    Memory grows with the file, whatever counts it declares.

    Raises:
        RawFileError: the file is malformed; names the first line at fault.
    """
    lines = _Lines(data)
    declared = lines.count("frame count")
    frame: list[int] = []
    body_id: list[int] = []
    joints: list[list[float]] = []
    for index in range(declared):
        lines.place = f"frame {index + 1} of {declared}"
        for _ in range(lines.count("body count")):
            body_id.append(lines.body())
            lines.joint_count()
            joints.extend(lines.joint() for _ in range(JOINTS))
            frame.append(index)
    lines.end(declared)
    points = np.array(joints, np.float64).reshape(-1, JOINTS, 3).astype(np.float32)
    return RawBodies(declared, np.array(frame, np.int64), np.array(body_id, np.int64), points)


class _Lines:
    """The lines of a file, found one after the other: a file that is wrong at its head costs no more than that.

    Attributes:
        place: where the reading is, for a file that ends too early.
    """

    def __init__(self, data: bytes) -> None:
        self._text = data.rstrip()
        self._next = 0 if self._text else 1
        """Where the next line begins; beyond the text when there is none."""
        self._number = 0
        self.place = "the frame count"

    def count(self, what: str) -> int:
        """Take a line of one number that is not negative."""
        (field,) = self._take(what, 1)
        value = read_integer(field)
        if value is None or value < 0:
            raise self._fault(f"{what} {_show(field)} is not a whole number of at least 0")
        return value

    def body(self) -> int:
        """Take a body line; return the body id."""
        field = self._take("body line", BODY_FIELDS)[0]
        value = read_integer(field)
        if value is None:
            raise self._fault(f"body id {_show(field)} is not a 64-bit whole number")
        return value

    def joint_count(self) -> None:
        """Take the line that declares a body's joints."""
        value = self.count("joint count")
        if value != JOINTS:
            raise self._fault(f"joint count is {value}, expected {JOINTS}")

    def joint(self) -> list[float]:
        """Take a joint line; return x y z."""
        values = []
        for field in self._take("joint line", JOINT_FIELDS)[:3]:
            value = read_decimal(field)
            if value is None:
                raise self._fault(f"joint value {_show(field)} is not a finite float32 number")
            values.append(value)
        return values

    def end(self, frames: int) -> None:
        """Make sure that nothing follows."""
        if self._next <= len(self._text):
            self._number += 1
            raise self._fault(f"unexpected text after the last of {frames} frames")

    def _take(self, what: str, expected: int) -> list[bytes]:
        if self._next > len(self._text):
            raise self._fault(f"file ends after this line, inside {self.place}; expected a {what}")
        end = self._text.find(b"\n", self._next)
        end = len(self._text) if end < 0 else end
        fields = self._text[self._next : end].split()
        self._next = end + 1
        self._number += 1
        if len(fields) != expected:
            count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
            raise self._fault(f"{what} has {count}, expected {expected}")
        return fields

    def _fault(self, reason: str) -> RawFileError:
        return RawFileError(reason, line=self._number)


def _show(field: bytes) -> str:
    text = field[:_SHOWN].decode("ascii", "backslashreplace")
    return f"'{text}{'…' if len(field) > _SHOWN else ''}'"
