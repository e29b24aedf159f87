"""Own recordings as CSV, with a line for each body in a frame, for several, or for each joint of a body."""

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.custom.csv_columns import Columns, find_columns
from mamp_pipeline.datasets.custom.normalise import REPEATED_FRAMES_REMEDY, Positions
from mamp_pipeline.datasets.custom.time_stamps import Frame, FrameColumn
from mamp_pipeline.datasets.io.number_text import decode_text
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout_files import CsvFiles, RepeatedFrames
from mamp_schemas.models.skeleton import Skeleton

Line = tuple[int, list[str]]
"""The 1-based number of a line (of its last, where a quoted cell runs over several), and its cells."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_MAX_LINES = 5_000_000
"""The most lines of a file. An hour at 30 frames a second, a line for each of 33 joints, has 3.6 million."""
_MAX_LINE = 2**22
"""The most characters of a line: 100 bodies of 1,000 joints have room."""
_MISSING = frozenset(
    ("", "nan", "-nan", "nan(ind)", "-nan(ind)", "null", "none", "na", "n/a", "#n/a", "<na>", "1.#qnan", "-1.#ind")
)
"""What missing numbers are written as, in whatever case."""


def read_csv_lines(data: bytes, delimiter: str) -> Iterator[Line]:
    """Yield the lines that are not blank, without blanks around their cells.

    Raises:
        RawFileError: the text is not text or not CSV.
    """
    lines = _Lines(decode_text(data))
    if delimiter == "whitespace":
        for number, line in enumerate(lines, 1):
            lines.end_row()
            if cells := line.split():
                yield number, cells
        return
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise RawFileError(f"not CSV: {problem}", line=reader.line_num) from None
        lines.end_row()
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield reader.line_num, cells


class _Lines:
    """Iterates over the lines of a text, with their ends; `io.StringIO` would take four bytes for every character."""

    def __init__(self, text: str) -> None:
        self._matches = _LINE.finditer(text)
        self._number, self._length = 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._matches)[0]
        self._number += 1
        self._length += len(line)
        if self._number > _MAX_LINES:
            raise RawFileError(f"more than {_MAX_LINES:,} lines: cut the recording into several files")
        if self._length > _MAX_LINE:
            raise RawFileError(f"a line of more than {_MAX_LINE:,} characters", line=self._number)
        return line

    def end_row(self) -> None:
        """Note that the lines so far are read: quoted cells may run over several."""
        self._length = 0


def check_width(lines: Iterable[Line], width: int, delimiter: str) -> Iterator[Line]:
    """Pass on the lines that have `width` cells.

    Raises:
        RawFileError: a line has more or fewer.
    """
    for line, cells in lines:
        if len(cells) != width:
            hint = "; `delimiter: whitespace` reads runs of blanks as one" if "" in cells and delimiter == " " else ""
            raise RawFileError(f"{len(cells)} cells, the first line has {width}{hint}", line=line)
        yield line, cells


def check_nameless(lines: Iterable[Line], nameless: tuple[int, ...]) -> Iterator[Line]:
    """Pass on lines whose columns without a name are empty, or, the first of all, count the lines.

    Raises:
        RawFileError: such a column holds something.
    """
    start: int | None = None
    for number, (line, cells) in enumerate(lines):
        for at in nameless:
            text = cells[at].strip()
            if number == 0 and at == 0 and text in ("0", "1"):
                start = int(text)
            expected = "" if start is None or at else str(start + number)
            if text != expected:
                raise RawFileError(
                    f"column {at} has no name and holds '{text[:40]}'; if the layout shall leave it: `unused: [{at}]`",
                    line=line,
                )
        yield line, cells


def skip_empty(lines: Iterable[Line], files: CsvFiles) -> Iterator[Line]:
    """Pass on lines without those that have only empty cells.

    Where the lines are the frames, such lines are frames without a body, but not at the end of the file.
    """
    waiting: list[Line] = []
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            yield from waiting
            waiting = []
            yield line, cells
        elif files.frame is None and files.joint_lines is None:
            waiting.append((line, cells))


class _Numbers:
    """Reads cells as numbers; missing ones are NaN.

    Args:
        decimal: the decimal mark.
    """

    def __init__(self, decimal: str) -> None:
        self._decimal = decimal

    def read(self, cells: list[str], line: int) -> list[float]:
        """Read a line's numbers.

        Raises:
            RawFileError: a cell is neither a number nor missing.
        """
        text = "".join(cells)
        # Python takes for numbers what nobody writes: 1_000, and digits of other scripts.
        if self._decimal == "." and text.isascii() and "_" not in text:
            try:
                return [float(cell) for cell in cells]
            except ValueError:
                pass
        return [self._read(cell.strip(), line) for cell in cells]

    def _read(self, cell: str, line: int) -> float:
        if cell.casefold() in _MISSING:
            return np.nan
        number = cell
        if self._decimal == ",":
            number = cell.replace(",", ".") if "." not in cell else ""
        if _NUMBER.fullmatch(number) or number.lstrip("+-").casefold() in ("inf", "infinity"):
            return float(number)
        raise RawFileError(f"'{cell[:40]}' is not a number{self._hint(cell, line)}", line=line)

    def _hint(self, cell: str, line: int) -> str:
        if self._decimal == "," and _NUMBER.fullmatch(cell):
            return " with a decimal comma, as the layout says"
        if self._decimal == "." and _NUMBER.fullmatch(cell.replace(",", ".")):
            return '; `decimal: ","` in the layout\'s files reads decimal commas'
        return "; a first line of names needs `header: true`" if line == 1 else ""


@dataclass
class _Records:
    """The records read so far.

    Attributes:
        index: the record of each (frame, repetition, body).
        frame: of each record, as the file gives it, and how many times the frame was there before with this body.
        body: of each record, the text that identifies its body.
        line: of each record's first line.
    """

    index: dict[tuple[Frame, int, str], int] = field(default_factory=dict)
    frame: list[tuple[Frame, int]] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def add(self, frame: Frame, body: str, line: int, repetition: int = 0) -> int:
        self.frame.append((frame, repetition))
        self.body.append(body)
        self.line.append(line)
        return len(self.frame) - 1

    def find_or_add(self, frame: Frame, body: str, line: int, repetition: int = 0) -> int:
        key = (frame, repetition, body)
        if key not in self.index:
            self.index[key] = self.add(frame, body, line, repetition)
        return self.index[key]

    def to_positions(self, xyz: NDArray[np.float64], label: str | None) -> Positions:
        order = {value: number for number, value in enumerate(sorted(set(self.frame)))}
        bodies = {text: number for number, text in enumerate(dict.fromkeys(self.body))}
        return Positions(
            frames=len(order),
            frame=np.array([order[value] for value in self.frame], dtype=np.int64),
            body=np.array([bodies[text] for text in self.body], dtype=np.int64),
            xyz=xyz,
            line=np.array(self.line, dtype=np.int64),
            label=label,
        )


def parse_csv(data: bytes, files: CsvFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; blank lines are skipped, empty cells, nan and null are missing values.

    Raises:
        RawFileError: not text, a column that is not there or not accounted for, a line with more or fewer cells than
            the first, a cell that is no number, a joint of another name or twice, labels that differ.
    """
    lines = read_csv_lines(data, files.delimiter)
    first = next(lines, None)
    if first is None:
        raise RawFileError("an empty file")
    columns = find_columns(first[1], files, skeleton)
    rows = check_width(lines if files.header else chain([first], lines), len(first[1]), files.delimiter)
    rows = check_nameless(skip_empty(rows, files), columns.nameless)
    reader = _LineReader(files, columns)
    by_joint = columns.joint is not None or files.joint_lines
    positions = _parse_joints(rows, reader, skeleton) if by_joint else _parse_bodies(rows, reader)
    if not positions.frames:
        raise RawFileError("no line of numbers in the file", line=first[0])
    return positions


class _LineReader:
    """Reads the cells of a file's lines.

    Attributes:
        files: the layout of the file.
        columns: the positions of what is read.
        label: the label that all lines have; None where the layout has no such column.
        numbers: reads the coordinates of a line.
    """

    def __init__(self, files: CsvFiles, columns: Columns) -> None:
        self.files = files
        self.columns = columns
        self.label: str | None = None
        decimal = files.decimal or "."
        self._numbers = _Numbers(decimal)
        self._frames = FrameColumn(decimal)

    def read(self, cells: list[str], line: int) -> list[float]:
        """Return a line's coordinates, and note its label."""
        if self.columns.label is not None:
            label = cells[self.columns.label].strip()
            if self.label is not None and label != self.label:
                raise RawFileError(
                    f"label '{label[:40]}', the lines before have '{self.label[:40]}'; a file is one clip: cut it",
                    line=line,
                )
            self.label = label
        return self._numbers.read([cells[at] for at in self.columns.coordinates], line)

    def frame(self, cells: list[str], line: int) -> Frame | None:
        """Return a line's frame number or time stamp; None where there is no such column."""
        return None if self.columns.frame is None else self._frames.read(cells[self.columns.frame], line)

    def body(self, cells: list[str]) -> str:
        """Return the text that identifies a line's body."""
        return "" if self.columns.body is None else cells[self.columns.body].strip()


def _parse_bodies(rows: Iterator[Line], reader: _LineReader) -> Positions:
    records, values = _Records(), array("d")
    times: Counter[tuple[Frame, str]] = Counter()
    bodies = reader.files.bodies_per_line
    for number, (line, cells) in enumerate(rows):
        found = reader.frame(cells, line)
        frame = number if found is None else found
        for body in [reader.body(cells)] if bodies is None else map(str, range(bodies)):
            repetition = times[frame, body] if reader.files.repeated_frames == "keep" else 0
            records.add(frame, body, line, repetition)
            times[frame, body] += 1
        values.extend(reader.read(cells, line))
    xyz = np.array(values).reshape(len(records.frame), len(reader.columns.coordinates) // (3 * (bodies or 1)), 3)
    positions = records.to_positions(xyz, reader.label)
    if reader.files.repeated_frames in ("first", "last"):
        return _choose_repetition(positions, last=reader.files.repeated_frames == "last")
    return positions


def _choose_repetition(positions: Positions, *, last: bool) -> Positions:
    """Keep the first or the last of the records of a body in a frame that have a position."""
    chosen: dict[tuple[int, int], int] = {}
    seen = np.flatnonzero(np.nan_to_num(positions.xyz).any(axis=(1, 2))).tolist()
    for record in seen if last else seen[::-1]:
        chosen[int(positions.frame[record]), int(positions.body[record])] = record
    return positions.take(np.array(sorted(chosen.values()), dtype=np.int64))


def _parse_joints(rows: Iterator[Line], reader: _LineReader, skeleton: Skeleton) -> Positions:
    files, column = reader.files, reader.columns.joint
    order = files.joint_order or skeleton.joints
    spellings = _spellings(order)
    index = {name: number for number, name in enumerate(skeleton.joints)}
    records, values, lines = _Records(), array("d"), 0
    points: dict[tuple[int, int], tuple[int, int]] = {}
    times: Counter[tuple[Frame, str, str]] = Counter()
    for line, cells in rows:
        found, body = reader.frame(cells, line), reader.body(cells)
        frame = lines // len(order) if found is None else found
        name = order[lines % len(order)] if column is None else _read_joint(cells[column].strip(), spellings, line)
        point, lines = reader.read(cells, line), lines + 1
        if name not in index:
            continue
        repetition = times[frame, body, name] if files.repeated_frames == "keep" else 0
        times[frame, body, name] += 1
        record = records.find_or_add(frame, body, line, repetition)
        start, first_line = points.setdefault((record, index[name]), (len(values), line))
        if start == len(values):
            values.extend(point)
        elif files.repeated_frames is None:
            reason = f"joint '{name}' is there already, on line {first_line}; {REPEATED_FRAMES_REMEDY}"
            raise RawFileError(reason, line=line)
        elif _replaces(point, values[start : start + 3], files.repeated_frames):
            values[start : start + 3] = array("d", point)
    if column is None and lines % len(order):
        raise RawFileError(f"{lines} lines are not a multiple of {len(order)} joints, each with a line in every frame")
    xyz = np.full((len(records.frame), len(index), 3), np.nan)
    if points:
        indices = np.array([(*key, start // 3) for key, (start, _) in points.items()])
        xyz[indices[:, 0], indices[:, 1]] = np.array(values).reshape(-1, 3)[indices[:, 2]]
    return records.to_positions(xyz, reader.label)


def _spellings(order: tuple[str, ...]) -> dict[str, str]:
    """Return joints by what stands for them: their numbers, their names, and these in whatever case."""
    cases = Counter(name.casefold() for name in order)
    in_any_case = {name.casefold(): name for name in order if cases[name.casefold()] == 1}
    return {str(number): name for number, name in enumerate(order)} | in_any_case | {name: name for name in order}


def _read_joint(text: str, spellings: dict[str, str], line: int) -> str:
    name = spellings.get(text) or spellings.get(text.casefold())
    if name is None:
        count = len(set(spellings.values()))
        remedy = "`joint_order` in the layout's files names joints that are not in the skeleton, to leave them"
        if text == str(count):
            remedy = (
                "numbers count from 0; where the file's count from 1, begin `joint_order` in the layout's files with a "
                "name that is no joint's, and then name all joints"
            )
        raise RawFileError(f"'{text[:40]}' is neither a joint's name nor a number below {count}; {remedy}", line=line)
    return name


def _replaces(new: list[float], old: Sequence[float], repeated: RepeatedFrames) -> bool:
    """Return whether a joint's position takes the place of one before in the same frame."""
    return not np.isnan(new).any() and (repeated == "last" or bool(np.isnan(old).any()))
