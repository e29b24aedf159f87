"""Tasks that workers of a test's cluster run: they must be importable there."""

import os
from pathlib import Path

from mamp_schemas.errors import RawInputError


def square(number: int) -> int:
    return number * number


def tell_process(_: int) -> int:
    return os.getpid()


def refuse(count: Path) -> None:
    _count(count)
    raise RawInputError("the input is not there", remedy="Look for it.")


def stumble_twice(count: Path) -> int:
    if _count(count) < 3:
        raise OSError("the file system stumbled")
    return 3


def die_once(mark: Path) -> int:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    return os.getpid()


def _count(path: Path) -> int:
    with path.open("a") as file:
        file.write("x")
    return path.stat().st_size
