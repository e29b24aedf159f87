"""Own recordings as CSV, with a line for each body in a frame, or for each joint of it."""

import csv
import io
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.custom.normalise import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout import CsvColumn, CsvFiles
from mamp_schemas.models.skeleton import Skeleton

Line = tuple[int, list[str]]
"""The 1-based number of a line (of its last, where a quoted cell runs over several), and its cells."""


def read_csv_lines(data: bytes, delimiter: str) -> Iterator[Line]:
    """Yield the lines that are not blank.

    Raises:
        RawFileError: the text is not UTF-8 or not CSV.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise RawFileError(f"not UTF-8 text: {problem.reason}", line=line) from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise RawFileError(f"not CSV: {problem}", line=reader.line_num) from None
        if cells:
            yield reader.line_num, cells


def check_width(lines: Iterable[Line], width: int) -> Iterator[Line]:
    """Pass on the lines that have `width` cells.

    Raises:
        RawFileError: a line has more or fewer.
    """
    for line, cells in lines:
        if len(cells) != width:
            raise RawFileError(f"{len(cells)} cells, the first line has {width}", line=line)
        yield line, cells


@dataclass(frozen=True, slots=True)
class Columns:
    """0-based positions of the columns that are read.

    Attributes:
        frame, body, joint: None where the layout has no such column.
        coordinates: 3·V positions, joint after joint, x y z; only three where there is a joint column.
    """

    frame: int | None
    body: int | None
    joint: int | None
    coordinates: tuple[int, ...]


def find_columns(first: list[str], files: CsvFiles, skeleton: Skeleton) -> Columns:
    """Find a layout's columns in a file's first line.

    Raises:
        RawFileError: a header is missing or there twice, or the line has too few cells.
    """
    header = [cell.strip().casefold() for cell in first] if files.header else []
    wanted = files.coordinates
    if isinstance(wanted, str):
        _reject_2d(wanted, header, skeleton)
        names = [
            wanted.replace("{joint}", joint).replace("{axis}", axis) for joint in skeleton.joints for axis in "xyz"
        ]
        coordinates = [_column_index(name, header, first) for name in names]
    elif isinstance(wanted, int):
        last = wanted + 3 * len(skeleton.joints) - 1
        coordinates = list(range(wanted, _column_index(last, header, first) + 1))
    else:
        coordinates = [_column_index(column, header, first) for column in wanted]
    frame, body, joint = (
        None if column is None else _column_index(column, header, first)
        for column in (files.frame, files.body, files.joint)
    )
    return Columns(frame, body, joint, tuple(coordinates))


def _column_index(column: CsvColumn, header: list[str], first: list[str]) -> int:
    if isinstance(column, int):
        if column >= len(first):
            raise RawFileError(
                f"{len(first)} columns, the layout needs one at position {column}, counted from 0", line=1
            )
        return column
    count = header.count(column.casefold())
    if count == 0:
        raise RawFileError(f"no column '{column}'; the columns are: {_shorten(first)}", line=1)
    if count > 1:
        raise RawFileError(f"{count} columns are called '{column}'", line=1)
    return header.index(column.casefold())


def _reject_2d(template: str, header: list[str], skeleton: Skeleton) -> None:
    x, y, z = (template.replace("{joint}", skeleton.joints[0]).replace("{axis}", axis) for axis in "xyz")
    if {x.casefold(), y.casefold()} <= set(header) and z.casefold() not in header:
        raise RawFileError(f"no column '{z}'; positions in space need x, y and z: lift them to 3D first", line=1)


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


@dataclass
class _Records:
    """The records read so far.

    Attributes:
        index: the record of each (frame, body).
        frame: of each record, as the file gives it.
        body: of each record, the text that identifies its body.
        line: of each record's first line.
    """

    index: dict[tuple[float, str], int] = field(default_factory=dict)
    frame: list[float] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def add(self, frame: float, body: str, line: int) -> int:
        self.frame.append(frame)
        self.body.append(body)
        self.line.append(line)
        return len(self.frame) - 1

    def find_or_add(self, frame: float, body: str, line: int) -> int:
        key = (frame, body)
        if key not in self.index:
            self.index[key] = self.add(frame, body, line)
        return self.index[key]

    def to_positions(self, xyz: NDArray[np.float64]) -> Positions:
        order = {value: number for number, value in enumerate(sorted(set(self.frame)))}
        bodies = {text: number for number, text in enumerate(dict.fromkeys(self.body))}
        return Positions(
            frames=len(order),
            frame=np.array([order[value] for value in self.frame], dtype=np.int64),
            body=np.array([bodies[text] for text in self.body], dtype=np.int64),
            xyz=xyz,
            line=np.array(self.line, dtype=np.int64),
        )


def parse_csv(data: bytes, files: CsvFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; blank lines are skipped, empty cells and nan are missing values.

    Raises:
        RawFileError: not UTF-8 text, a column that is not there, a line with more or fewer cells than the first, a
            cell that is no number, a joint of another name or twice.
    """
    lines = read_csv_lines(data, files.delimiter)
    first = next(lines, None)
    if first is None:
        raise RawFileError("an empty file")
    columns = find_columns(first[1], files, skeleton)
    rows = check_width(lines if files.header else chain([first], lines), len(first[1]))
    if columns.joint is None or columns.frame is None:
        return _parse_bodies(rows, columns)
    return _parse_joints(rows, columns, columns.joint, columns.frame, skeleton)


def _parse_bodies(rows: Iterator[Line], columns: Columns) -> Positions:
    records, values = _Records(), array("d")
    for line, cells in rows:
        frame = len(records.frame) if columns.frame is None else _parse_frame(cells[columns.frame], line)
        records.add(frame, _body_text(cells, columns), line)
        values.extend(_parse_numbers([cells[index] for index in columns.coordinates], line))
    return records.to_positions(np.array(values).reshape(len(records.frame), len(columns.coordinates) // 3, 3))


def _parse_joints(
    rows: Iterator[Line], columns: Columns, joint_column: int, frame_column: int, skeleton: Skeleton
) -> Positions:
    names = {str(number): number for number in range(len(skeleton.joints))}
    names |= {name: number for number, name in enumerate(skeleton.joints)}
    records, seen, values = _Records(), dict[tuple[int, int], int](), array("d")
    for line, cells in rows:
        text = cells[joint_column].strip()
        if text not in names:
            count = len(skeleton.joints)
            raise RawFileError(f"'{text}' is neither a joint's name nor a number below {count}", line=line)
        record = records.find_or_add(_parse_frame(cells[frame_column], line), _body_text(cells, columns), line)
        if seen.setdefault((record, names[text]), line) != line:
            raise RawFileError(f"joint '{text}' is there already, on line {seen[record, names[text]]}", line=line)
        values.extend(_parse_numbers([cells[index] for index in columns.coordinates], line))
    xyz = np.full((len(records.frame), len(skeleton.joints), 3), np.nan)
    if seen:
        indices = np.array(list(seen))
        xyz[indices[:, 0], indices[:, 1]] = np.array(values).reshape(-1, 3)
    return records.to_positions(xyz)


def _body_text(cells: list[str], columns: Columns) -> str:
    return "" if columns.body is None else cells[columns.body].strip()


def _parse_frame(text: str, line: int) -> float:
    """Read a frame's number or time stamp; whole numbers stay exact, because time stamps may exceed 2^53."""
    value: float
    try:
        value = int(text)
    except ValueError:
        value = _parse_number(text, line)
    if value - value != 0:
        raise RawFileError(f"'{text}' is no frame number", line=line)
    return value


def _parse_numbers(cells: list[str], line: int) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return [_parse_number(cell, line) for cell in cells]


def _parse_number(cell: str, line: int) -> float:
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError:
        raise RawFileError(f"'{cell}' is not a number", line=line) from None
