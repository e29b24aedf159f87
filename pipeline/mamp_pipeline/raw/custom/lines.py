"""The lines of a CSV file."""

import csv
import io
from collections.abc import Iterable, Iterator

from mamp_schemas.errors import RawFileError

Line = tuple[int, list[str]]
"""The 1-based number of a line (of its last, where a quoted cell runs over several), and its cells."""


def read_csv_lines(data: bytes, delimiter: str) -> Iterator[Line]:
    """Yield the lines that are not blank.

    Raises:
        RawFileError: not UTF-8 text, or a cell that runs on for ever.
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
