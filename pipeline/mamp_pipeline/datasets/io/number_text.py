"""Decodes raw text files, and reads their integers and decimal numbers, one field at a time."""

import codecs
import re

from mamp_schemas.errors import RawFileError
from mamp_schemas.models.plain_data import PlainDataError, check_json_memory

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""By the first that a file begins with: that of UTF-16, little-endian, begins that of UTF-32."""

DECIMAL = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


FLOAT32_BOUND = 2.0**128 - 2.0**103
"""Half a step above the largest float32: from here on a double rounds to infinity."""


def read_integer(field: bytes) -> int | None:
    """Return the integer that a field spells; None if it is not an integer of 64 bits and at most 19 digits."""
    digits = field[1:] if field.startswith((b"+", b"-")) else field
    if not digits.isdigit() or len(digits) > 19:
        return None
    value = int(field)
    return value if abs(value) < 2**63 else None


def read_decimal(field: bytes) -> float | None:
    """Return the correctly rounded double that a field spells; None if it is not a number within float32."""
    if not DECIMAL.fullmatch(field):
        return None
    value = float(field)
    return value if abs(value) < FLOAT32_BOUND else None


def decode_text(data: bytes) -> str:
    """Decode a text file: UTF-8, or what its byte order mark says of UTF-8, UTF-16 and UTF-32.

    Raises:
        RawFileError: the bytes are no such text, or hold NUL characters.
    """
    mark, encoding = next(((mark, name) for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as problem:
        if encoding != "utf-8":
            raise RawFileError(f"not {encoding[:-3].upper()} text: {problem.reason}") from None
        line = data.count(b"\n", 0, len(mark) + problem.start) + 1
        raise RawFileError(f"not UTF-8 text: {problem.reason}; save the file as UTF-8", line=line) from None
    at = text.find("\0")
    if at >= 0:
        share = text.count("\0") / len(text)
        kind = "a damaged download or copy" if share > 0.9 else "damaged, or UTF-16 without a byte order mark"
        raise RawFileError(f"NUL characters, {share:.0%} of the file: {kind}", line=text.count("\n", 0, at) + 1)
    return text


def reject_large_json(text: str) -> None:
    """Refuse JSON whose values would fill the memory, before it is parsed.

    Raises:
        RawFileError: it has too many.
    """
    try:
        check_json_memory(text)
    except PlainDataError as problem:
        raise RawFileError(f"{problem}: cut the recording into several files") from None
