"""Frame numbers and time stamps: numbers, times of day, and dates with a time, of which only the order matters."""

import re
from datetime import date
from decimal import Decimal
from typing import Literal

from mamp_schemas.errors import RawFileError

FrameKind = Literal["a number", "a time of day", "a date and time", "a date and time with its zone"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
_DATE = re.compile(r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})[T ]\s*(?P<time>\S+?)", re.ASCII)
_TIME = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?(?:[.,](\d{1,12}))?", re.ASCII)
_ZONE = re.compile(r"\s*(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2}))", re.ASCII | re.IGNORECASE)

_MAX_LENGTH = 64
"""The longest date and time, in characters."""

_MAX_HOURS = 12
"""Times of day that are further apart are taken to pass midnight, which they cannot say."""

Frame = int | Decimal


def read_frame(text: str, decimal: str, line: int) -> tuple[FrameKind, Frame]:
    """Read a frame number or time stamp, exactly: time stamps may have more digits than a double holds.

    Args:
        text: the cell.
        decimal: the decimal mark of numbers.
        line: the cell's line, for messages.

    Returns:
        What it is, and a number by which those of the same kind are ordered.

    Raises:
        RawFileError: it is neither a number nor a time.
    """
    text = text.strip()
    number = text.replace(decimal, ".") if decimal != "." and "." not in text else text
    if _WHOLE.fullmatch(number):
        return "a number", int(number)
    if _DECIMAL.fullmatch(number):
        return "a number", Decimal(number)
    if decimal != "," and _DECIMAL.fullmatch(text.replace(",", ".")):
        raise RawFileError(
            f"'{text[:40]}' is no frame number; `decimal: \",\"` in the layout's files reads decimal commas", line=line
        )
    time = _read_time(text)
    if time is not None:
        return "a time of day", time
    return _read_date(text, line)


def _read_time(text: str) -> Decimal | None:
    """Return the seconds of hours:minutes:seconds, or the smaller unit of two numbers; None for other text."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    first, second, third, fraction = match.groups()
    if int(second) > 59 or int(third or 0) > 59:
        return None
    whole = int(first) * 60 + int(second) if third is None else int(first) * 3600 + int(second) * 60 + int(third)
    return Decimal(f"{whole}.{fraction or 0}")


def _read_date(text: str, line: int) -> tuple[FrameKind, Frame]:
    short = text if len(text) <= _MAX_LENGTH else ""
    zone = next((match for match in _ZONE.finditer(short) if match.end() == len(short)), None)
    match = _DATE.fullmatch(short[: zone.start()] if zone else short)
    time = _read_time(match["time"]) if match else None
    if match and time is not None:
        try:
            day = date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal()
        except ValueError:
            raise RawFileError(f"'{text}' is no date of the calendar", line=line) from None
        in_minutes = match["time"].count(":") == 1 and time == int(time)
        seconds = day * 86_400 + time * (60 if in_minutes else 1)
        if zone is None:
            return "a date and time", seconds
        offset = int(zone["hours"] or 0) * 3600 + int(zone["minutes"] or 0) * 60
        return "a date and time with its zone", seconds + (offset if zone["sign"] == "-" else -offset)
    raise RawFileError(
        f"'{text[:40]}' is neither a frame number nor a time stamp: a number, hours:minutes:seconds, or "
        "year-month-day hours:minutes:seconds",
        line=line,
    )


class FrameColumn:
    """Reads a column of frame numbers or time stamps, all of one kind.

    Args:
        decimal: the decimal mark of numbers.
    """

    def __init__(self, decimal: str) -> None:
        self._decimal = decimal
        self._kind: tuple[FrameKind, int] | None = None
        self._range: tuple[Frame, Frame] | None = None

    def read(self, text: str, line: int) -> Frame:
        """Read a cell.

        Raises:
            RawFileError: it is neither a number nor a time, of another kind than those before, or more than 12 hours
                from another time of day.
        """
        kind, value = read_frame(text, self._decimal, line)
        # Minutes and seconds cannot be told from hours and minutes, but from three numbers.
        form = (kind, text.count(":"))
        if self._kind is None:
            self._kind = form
        elif form != self._kind:
            raise RawFileError(f"'{text.strip()}' is {kind}, in another form than the lines before", line=line)
        if kind == "a time of day":
            low, high = self._range or (value, value)
            self._range = min(low, value), max(high, value)
            if self._range[1] - self._range[0] > _MAX_HOURS * 3600:
                raise RawFileError(
                    f"times of day more than {_MAX_HOURS} hours apart, as past midnight: their order is not known "
                    "without dates, such as 2026-01-31 23:59:59.9",
                    line=line,
                )
        return value
