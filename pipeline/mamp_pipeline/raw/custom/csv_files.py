"""Own recordings as CSV: a line for each body in a frame, or for each joint of it."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.custom.columns import Columns, find_columns
from mamp_pipeline.raw.custom.lines import Line, check_width, read_csv_lines
from mamp_pipeline.raw.custom.positions import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout_files import CsvFiles
from mamp_schemas.skeleton import Skeleton


@dataclass
class _Records:
    """The records read so far: B of them.

    Attributes:
        place: of each (frame, body): its record.
        frame: of each record, as the file gives it.
        body: of each record, the text that tells bodies apart.
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
    """Parse one file; blank lines are passed over, empty cells and nan are missing.

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
        values.extend(_parse_numbers([cells[place] for place in columns.coordinates], line))
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
        values.extend(_parse_numbers([cells[place] for place in columns.coordinates], line))
    xyz = np.full((len(records.frame), len(skeleton.joints), 3), np.nan)
    if seen:
        places = np.array(list(seen))
        xyz[places[:, 0], places[:, 1]] = np.array(values).reshape(-1, 3)
    return records.to_positions(xyz)


def _body_text(cells: list[str], columns: Columns) -> str:
    return "" if columns.body is None else cells[columns.body].strip()


def _parse_frame(text: str, line: int) -> float:
    """Read a frame's number or time stamp: as a whole number where it is one, for those may exceed 2^53."""
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
