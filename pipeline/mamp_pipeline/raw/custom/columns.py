"""The columns of a CSV file: where a layout's headers and positions lie."""

from dataclasses import dataclass

from mamp_schemas.errors import RawFileError
from mamp_schemas.layout_files import CsvColumn, CsvFiles
from mamp_schemas.skeleton import Skeleton


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
        None if column is None else _column_index(column, header, first) for column in (files.frame, files.body, files.joint)
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
