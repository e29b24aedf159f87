"""How one file of own recordings is laid out: as CSV, npy, mat or JSON. See docs/own-data.md.

Readers account for every column, axis and key. What a layout does not use, it names as unused; a file that holds
anything else is refused.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mamp_schemas.models.base import Model

CsvColumn = str | Annotated[int, Field(ge=0)]
"""A CSV column: its header, in whatever case, or its 0-based position."""

Suffix = Annotated[str, Field(pattern=r"^\.\w+$", max_length=32)]

_RANGE = re.compile(r"([0-9]{1,6})-([0-9]{0,6})")


def matches_pattern(name: str, pattern: str) -> bool:
    """Return whether a name is a pattern's in whatever case; `*` stands for any text. Takes linear time."""
    name = name.casefold()
    first, *others = pattern.casefold().split("*")
    if not others:
        return name == first
    last = others.pop()
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in others:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _check_per_joint(names: tuple[str, ...]) -> tuple[str, ...]:
    if any(names.count(axis) != 1 for axis in "xyz") or len(set(names)) != len(names):
        raise ValueError("per_joint names each number of a joint once, in the files' order; x, y and z are among them")
    return names


def _check_joint_order(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("joint_order names a joint twice")
    return names


PerJoint = Annotated[tuple[str, ...], Field(max_length=100), AfterValidator(_check_per_joint)]
"""What the numbers of one joint are, in order, such as x, y, z, visibility; x, y and z are read, the others left."""

JointOrder = Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000), AfterValidator(_check_joint_order)]
"""The joints in the files' order, with those that the skeleton does not have; these are left out."""

RepeatedFrames = Literal["keep", "first", "last"]


class CsvFiles(Model):
    """CSV: a line for each body in a frame, for several, or, if `joint` is given, for each joint of a body in a frame.

    Attributes:
        suffix: how file names end.
        delimiter: what separates cells: one character, or `whitespace` for any run of blanks and tabs.
        decimal: what separates a number's whole part from its fraction, a point (the default) or a comma.
        header: whether the first line names the columns.
        frame: column of the frame number or time stamp; without it every line is the next frame.
        body: column of the body's id, number or text; without it there is one body.
        joint: column of the joint's name, in whatever case, or 0-based number.
        label: column of the clip's label, the same in all lines; for layouts with `labels: file`.
        coordinates: a line for each body: the headers of its coordinates, written with {joint} and {axis}, such
            as "{joint}_{axis}", or the position of the first of the coordinates, joint after joint, x y z. A line
            for each joint: its three columns.
        per_joint: with a position as `coordinates`: what the numbers of a joint are, if not x, y, z.
        joint_order: with a position as `coordinates` or a joint column: the file's joints, if not the skeleton's.
        joint_lines: whether there is a line for each joint without a column that says so: the lines of a frame are
            its joints, in order.
        bodies_per_line: how many bodies a line holds, one after the other; headers tell them apart by {body}, a
            number from 1 on.
        repeated_frames: what to do with a body that has several lines with the same frame number or time stamp:
            `keep` each line as a frame of its own, take the `first`, or the `last`. Without it such files are refused.
        unused: columns that are left: `rest` for all that are not used, or headers with `*` for any text, and
            positions; without a header, positions and ranges of them such as "46-90" or "46-".
    """

    format: Literal["csv"]
    suffix: Suffix = ".csv"
    delimiter: Annotated[str, Field(pattern=r'^(?:[^\r\n"]|whitespace)$')] = ","
    decimal: Literal[".", ","] | None = None
    header: bool = True
    frame: CsvColumn | None = None
    body: CsvColumn | None = None
    joint: CsvColumn | None = None
    label: CsvColumn | None = None
    coordinates: CsvColumn | tuple[CsvColumn, CsvColumn, CsvColumn]
    per_joint: PerJoint | None = None
    joint_order: JointOrder | None = None
    joint_lines: Literal[True] | None = None
    bodies_per_line: Annotated[int, Field(ge=2, le=100)] | None = None
    repeated_frames: RepeatedFrames | None = None
    unused: Literal["rest"] | tuple[CsvColumn, ...] | None = None

    @model_validator(mode="after")
    def _columns_fit(self) -> "CsvFiles":
        columns = self.coordinates if isinstance(self.coordinates, tuple) else (self.coordinates,)
        by_joint = self.joint is not None or self.joint_lines is not None
        if self.joint is not None and self.joint_lines:
            raise ValueError("joint_lines is for files without a joint column")
        if by_joint != (len(columns) == 3):
            raise ValueError("coordinates are three columns where each joint has a line of its own, else a single one")
        if self.frame is None and (self.body is not None or self.joint is not None):
            raise ValueError("lines with a body or joint column need a frame column too")
        if self.joint_lines and (self.frame is not None or self.body is not None):
            raise ValueError("joint_lines is for files without frame and body columns")
        if isinstance(columns[0], str) and len(columns) == 1:
            self._check_template(columns[0])
        if self.bodies_per_line and (self.body is not None or by_joint):
            raise ValueError("bodies_per_line is for files without body and joint columns")
        if self.per_joint and not isinstance(self.coordinates, int):
            raise ValueError("per_joint is for coordinates that are given by the position of the first")
        if self.joint_order and isinstance(self.coordinates, str):
            raise ValueError("joint_order is for coordinates by position; headers are found by the joints' names")
        if self.repeated_frames and self.frame is None:
            raise ValueError("repeated_frames is for files with a frame column")
        if (self.decimal or ".") == self.delimiter:
            raise ValueError("decimal and delimiter are the same character")
        named = (self.frame, self.body, self.joint, self.label, *columns)
        if not self.header and any(isinstance(column, str) for column in named):
            raise ValueError("without a header, columns are given by position")
        if not self.header and isinstance(self.unused, tuple):
            wrong = [item for item in self.unused if isinstance(item, str) and not _RANGE.fullmatch(item)]
            if wrong:
                raise ValueError(f'without a header, unused holds positions and ranges such as "46-90"; got {wrong[0]}')
        return self

    def _check_template(self, template: str) -> None:
        if not ("{joint}" in template and "{axis}" in template):
            raise ValueError("coordinates must hold {joint} and {axis}, or be the position of the first column")
        if ("{body}" in template) != (self.bodies_per_line is not None):
            raise ValueError("coordinates hold {body} where bodies_per_line says how many there are, and only there")

    def leaves(self, position: int, header: str) -> bool:
        """Return whether a column that is not used is named as unused.

        Args:
            position: of the column, from 0.
            header: its header; empty where there is none.
        """
        if self.unused is None or self.unused == "rest":
            return self.unused is not None
        return any(self._is_column(item, position, header) for item in self.unused)

    def _is_column(self, item: CsvColumn, position: int, header: str) -> bool:
        if isinstance(item, int):
            return item == position
        if self.header:
            return matches_pattern(header, item)
        start, _, stop = item.partition("-")
        return int(start) <= position <= (int(stop) if stop else position)


class ArrayFiles(Model):
    """Files that hold an array.

    Attributes:
        order: its axes, of T frames, V joints, C coordinates and, where there are several bodies, M bodies: TVC,
            MTVC, TMVC, CTVM and so on.
        per_joint: what the numbers along C are, if not x, y, z.
        joint_order: the joints along V, if not the skeleton's.
    """

    order: str
    per_joint: PerJoint | None = None
    joint_order: JointOrder | None = None

    @model_validator(mode="after")
    def _axes_known(self) -> "ArrayFiles":
        if sorted(self.order) not in (sorted("TVC"), sorted("MTVC")):
            raise ValueError(f"order must name T, V and C, and M where there are bodies, once each; got '{self.order}'")
        return self


class NpyFiles(ArrayFiles):
    """NumPy's npy: one array.

    Attributes:
        suffix: how file names end.
    """

    format: Literal["npy"]
    suffix: Suffix = ".npy"


class MatFiles(ArrayFiles):
    """MATLAB's mat: variables, one of which is the array.

    Attributes:
        suffix: how file names end.
        variable: the array's name; without it the file's only variable.
        unused: names of variables that are left, `*` for any text, or `rest` for all that are not used.
    """

    format: Literal["mat"]
    suffix: Suffix = ".mat"
    variable: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    unused: Literal["rest"] | tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _variable_named(self) -> "MatFiles":
        if self.unused is not None and self.variable is None:
            raise ValueError("variable names the array where others are unused")
        return self

    def leaves(self, name: str) -> bool:
        """Return whether a variable that is not used is named as unused."""
        if self.unused is None or self.unused == "rest":
            return self.unused is not None
        return any(matches_pattern(name, item) for item in self.unused)


class JsonFiles(Model):
    """JSON: a list of frames. Fields hold keys joined by dots; an empty text is the value itself.

    Joints are a list of V points or an object of points by joint name; a point is [x, y, z] or an object with x, y
    and z. null, and a list without items, stand for what is missing.

    Attributes:
        suffix: how file names end.
        frames: keys of the list of frames in the file.
        bodies: keys of the list of bodies in a frame; without it a frame is one body.
        id: keys of a body's id in the body; without it a body is known by its position in the list.
        joints: keys of the joints in a body.
        label: keys of the clip's label in the file; for layouts with `labels: file`.
        per_joint: what the numbers of a point that is a list are, if not x, y, z.
        joint_order: the joints of a list of points, if not the skeleton's.
        unused: keys that are left: `rest` for all that are not used, or keys from the file's top on, joined by dots
            without the numbers in lists, such as frames.people.score; `*` stands for any text.
    """

    format: Literal["json"]
    suffix: Suffix = ".json"
    frames: str = ""
    bodies: str | None = None
    id: str | None = None
    joints: str = ""
    label: Annotated[str, Field(min_length=1)] | None = None
    per_joint: PerJoint | None = None
    joint_order: JointOrder | None = None
    unused: Literal["rest"] | tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _id_of_several(self) -> "JsonFiles":
        if self.id is not None and self.bodies is None:
            raise ValueError("an id tells several bodies apart: say where the list of bodies is")
        return self

    def leaves(self, path: str) -> bool:
        """Return whether a key that is not used is named as unused, by its keys from the file's top on."""
        if self.unused is None or self.unused == "rest":
            return self.unused is not None
        return any(matches_pattern(path, item) for item in self.unused)
