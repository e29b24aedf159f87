"""Which columns of a CSV file are read; every other column must be one that the layout leaves, or say nothing."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mamp_pipeline.cleaning.plausibility import ONLY_3D
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout_files import CsvColumn, CsvFiles
from mamp_schemas.models.skeleton import Skeleton

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?")

_AXES = 3
_OTHERS = "vwabcdefg"
"""What the numbers of a joint are called besides x, y and z, where a message gives an example."""

_FEW = 6
"""So many columns are named one by one in a remedy."""


@dataclass(frozen=True, slots=True)
class Columns:
    """0-based positions of the columns that are read.

    Attributes:
        frame, body, joint, label: None where the layout has no such column.
        coordinates: 3·V positions, joint after joint, x y z, for each body of a line; only three where each joint has
            a line of its own.
        nameless: columns without a name that must be found to say nothing: empty ones, and the first one where it
            numbers the lines.
    """

    frame: int | None
    body: int | None
    joint: int | None
    label: int | None
    coordinates: tuple[int, ...]
    nameless: tuple[int, ...]


def find_columns(first: list[str], files: CsvFiles, skeleton: Skeleton) -> Columns:
    """Find a layout's columns in a file's first line, and account for all others.

    Raises:
        RawFileError: a header is missing or there twice, the line has too few cells, the headers tell of another
            order than the layout, or a column is neither used nor named as unused.
    """
    finder = _Finder(first, files, skeleton)
    frame, body, joint, label = (
        None if column is None else finder.position(column)
        for column in (files.frame, files.body, files.joint, files.label)
    )
    coordinates = tuple(finder.coordinates())
    used = {frame, body, joint, label, *coordinates, *finder.left_by_position()}
    nameless = tuple(finder.account(used))
    finder.reject_other_order(coordinates)
    return Columns(frame, body, joint, label, coordinates, nameless)


def _letters(name: str) -> str:
    """Return a folded name without what stands between words, in one spelling: `hip_centre x` and `hipcenterx`."""
    return re.sub(r"[\s_.-]", "", name).replace("center", "centre")


class _Finder:
    """Finds columns in the first line of a file."""

    def __init__(self, first: list[str], files: CsvFiles, skeleton: Skeleton) -> None:
        self._first = first
        self._files = files
        self._skeleton = skeleton
        self._names = [cell.strip() for cell in first] if files.header else [""] * len(first)
        self._header = [name.casefold() for name in self._names]
        self._loose = [_letters(name) for name in self._header]
        self._counts = Counter(self._header)
        self._order = files.joint_order or skeleton.joints
        self._per_joint = files.per_joint or ("x", "y", "z")
        self._bodies = files.bodies_per_line or 1

    def position(self, column: CsvColumn) -> int:
        """Return a column's position."""
        if isinstance(column, int):
            if column >= len(self._first):
                raise RawFileError(
                    f"{len(self._first)} columns, the layout needs one at position {column}, counted from 0", line=1
                )
            return column
        name = column.strip().casefold()
        count = self._counts[name]
        if count == 0 and self._files.header:
            alike = [at for at, header in enumerate(self._loose) if header and header == _letters(name)]
            if len(alike) == 1:
                return alike[0]
            count = len(alike)
        if count == 0:
            raise RawFileError(
                f"no column '{column}'; the columns are: {_shorten(self._first)}{self._delimiter_hint()}", line=1
            )
        if count > 1:
            raise RawFileError(f"{count} columns are called '{column}'", line=1)
        return self._header.index(name)

    def coordinates(self) -> Iterator[int]:
        """Yield the positions of the coordinates."""
        wanted = self._files.coordinates
        if isinstance(wanted, tuple):
            yield from map(self.position, wanted)
        elif isinstance(wanted, str):
            self._reject_2d(wanted)
            for name in self._headers_of(wanted):
                yield self.position(name)
        else:
            for body in range(self._bodies):
                for joint in self._skeleton.joints:
                    start = wanted + (body * len(self._order) + self._order.index(joint)) * len(self._per_joint)
                    for axis in "xyz":
                        yield self.position(start + self._per_joint.index(axis))

    def left_by_position(self) -> range:
        """Return the positions of a line's numbers, with those that `per_joint` and `joint_order` name to leave."""
        start = self._files.coordinates
        if not isinstance(start, int):
            return range(0)
        self.position(start + self._needed - 1)
        return range(start, start + self._needed)

    @property
    def _needed(self) -> int:
        return self._bodies * len(self._order) * len(self._per_joint)

    def account(self, used: set[int | None]) -> Iterator[int]:
        """Yield the columns without a name that are not used.

        Raises:
            RawFileError: a column with a name is neither used nor named as unused.
        """
        left = [at for at in range(len(self._first)) if at not in used and not self._files.leaves(at, self._names[at])]
        nameless = [at for at in left if not self._names[at] and self._may_say_nothing(at)]
        unknown = sorted(set(left) - set(nameless))
        if unknown:
            raise RawFileError(self._unaccounted(unknown, len(used - {None})), line=1)
        yield from nameless

    def _may_say_nothing(self, at: int) -> bool:
        return self._files.header or not self._first[at].strip()

    def _unaccounted(self, unknown: list[int], used: int) -> str:
        names = [f"'{self._names[at][:40]}' ({at})" if self._names[at] else str(at) for at in unknown]
        items = json.dumps([self._names[at] or at for at in unknown[:_FEW]], ensure_ascii=False)
        remedy = f"`unused: {items}`" if len(unknown) <= _FEW else "`unused: rest`"
        start = self._files.coordinates
        by_position = isinstance(start, int) and unknown[-1] >= start + self._needed
        hint = self._position_hint(start) if isinstance(start, int) and by_position else ""
        when = "where they tell of nothing that is wanted, " if hint else ""
        return (
            f"{len(self._first)} columns, of which the layout uses {used}; not used: {_shorten(names)}{hint}; "
            f"{when}to leave them: {remedy} in the layout's files"
        )

    def _position_hint(self, start: int) -> str:
        """Return how many numbers are read from a position on, and how all of them could be."""
        count, joints, per_joint = len(self._first) - start, len(self._order), len(self._per_joint)
        needed = f"{joints} joints of {per_joint} need {self._needed} columns from {start} on"
        found = f"found the names {_shorten(self._names[start:])}" if self._files.header else f"found {count}"
        ways = []
        if count % (joints * per_joint) == 0 and self._bodies == 1:
            ways.append(
                f"for {count // (joints * per_joint)} bodies: `bodies_per_line: {count // (joints * per_joint)}`"
            )
        numbers = count // (self._bodies * joints)
        if count % (self._bodies * joints) == 0 and per_joint == _AXES < numbers <= _AXES + len(_OTHERS):
            names = ", ".join(["x", "y", "z", *_OTHERS[: numbers - _AXES]])
            ways.append(f"for {numbers} numbers a joint: `per_joint: [{names}]`, say")
        return "; ".join(["", f"{needed}, {found}", *ways])

    def _headers_of(self, template: str) -> Iterator[str]:
        for body in range(1, self._bodies + 1):
            for joint in self._skeleton.joints:
                for axis in "xyz":
                    yield template.replace("{body}", str(body)).replace("{axis}", axis).replace("{joint}", joint)

    def _reject_2d(self, template: str) -> None:
        x, y, z = (name.strip().casefold() for name, _ in zip(self._headers_of(template), "xyz", strict=False))
        if {x, y} <= set(self._header) and z not in self._header:
            raise RawFileError(f"no column '{z}': {ONLY_3D}", line=1)

    def reject_other_order(self, coordinates: tuple[int, ...]) -> None:
        """Refuse coordinates by position where the first line tells of something else.

        That is numbers where names should be, and names of another axis or joint than is read. Names tell of axes where
        three are there that differ in their first or last letter only, x, y and z.
        """
        if isinstance(self._files.coordinates, str) or not self._files.header:
            return
        cells = [self._header[at] for at in coordinates]
        counting = {int(cell) - at if cell.isdecimal() else None for cell, at in zip(cells, coordinates, strict=True)}
        if all(_NUMBER.fullmatch(cell) for cell in cells) and (len(counting) > 1 or None in counting):
            raise RawFileError(
                "numbers, where the layout expects the columns' names; `header: false` in its files reads such", line=1
            )
        if isinstance(self._files.coordinates, int):
            self._reject_other_names(coordinates)

    def _reject_other_names(self, coordinates: tuple[int, ...]) -> None:
        named = _read_axes(self._header)
        named = {at: named[at] for at in coordinates if at in named}
        joints = {name.casefold(): name for name in self._skeleton.joints}
        for number, at in enumerate(coordinates) if named else ():
            joint = self._skeleton.joints[number // _AXES % len(self._skeleton.joints)]
            axis, stem = named.get(at, ("", ""))
            if axis != "xyz"[number % _AXES] or joints.get(stem, joint) != joint:
                raise RawFileError(
                    f"column {at}, '{self._names[at]}', would be read as {'xyz'[number % _AXES]} of joint '{joint}'; "
                    "where the numbers are in another order, `per_joint`, `joint_order` or `coordinates` by headers "
                    "says so",
                    line=1,
                )

    def _delimiter_hint(self) -> str:
        if len(self._first) > 1:
            return ""
        mark = next((mark for mark in ",;\t|" if mark != self._files.delimiter and mark in self._first[0]), None)
        shown = "\\t" if mark == "\t" else mark
        return f'; cells seem to be separated otherwise: `delimiter: "{shown}"`' if mark else ""


def _read_axes(header: list[str]) -> dict[int, tuple[str, str]]:
    """Return the axis and the rest of the name, by position, of headers such as hip_x or x1."""
    known, axes = set(header), {}
    for at, name in enumerate(header):
        for axis, before, after in ((name[-1:], name[:-1], ""), (name[:1], "", name[1:])):
            if axis and axis in "xyz" and {f"{before}{other}{after}" for other in "xyz"} <= known:
                axes[at] = (axis, (before + after).strip("_.- :/"))
                break
    return axes


def _shorten(names: list[str]) -> str:
    return ", ".join(name[:40] for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
