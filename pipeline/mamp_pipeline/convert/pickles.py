"""Pickles read without running them: nothing that a pickle names is imported or called.

Each name stands for a constructor of `pickled`, or the pickle is refused.
"""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mamp_pipeline.convert.pickled import ALLOWED_CONSTRUCTORS
from mamp_schemas.errors import RawInputError

_PARSE_ERRORS = (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError, MemoryError)

_MEMO_OPCODES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def load_pickle(path: Path) -> object:
    """Read a pickle of plain containers, numbers, strings and numpy arrays; the whole of it is held in memory.

    Returns:
        What was pickled, each array as a `PickledArray`.

    Raises:
        RawInputError: it cannot be read, or names anything else; nothing of it has been executed.
    """
    try:
        with path.open("rb") as file:
            _check_memo_indices(file)
            file.seek(0)
            return _SafeUnpickler(file).load()
    except OSError as problem:
        raise RawInputError(f"{path}: cannot be read ({problem.strerror})") from None
    except pickle.UnpicklingError as problem:
        raise RawInputError(
            f"{path}: refused: {problem}",
            remedy="Only numpy arrays, numbers, strings, lists, tuples, sets and dictionaries are read from a pickle; "
            "write the file again with those.",
        ) from None
    except _PARSE_ERRORS as problem:
        raise RawInputError(
            f"{path}: not a readable pickle ({type(problem).__name__}: {problem})",
            remedy="Make or fetch the file again.",
        ) from None


def _check_memo_indices(file: BinaryIO) -> None:
    """Refuse a pickle that numbers its objects beyond how many it can have: the reader makes room for that many."""
    for count, (instruction, number, _) in enumerate(pickletools.genops(file)):
        if instruction.name in _MEMO_OPCODES and isinstance(number, int) and number > count:
            raise pickle.UnpicklingError(f"it gives an object the number {number} after {count} instructions")


class _SafeConstructor:
    """What stands in for a name of a pickle: it can be called, and nothing else."""

    __slots__ = ("_make",)
    _make: Callable[..., object]

    def __init__(self, make: Callable[..., object]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"a name whose '{name}' it tries to set")


class _SafeUnpickler(pickle.Unpickler):
    """Resolves names to `CONSTRUCTORS`, or not at all."""

    def find_class(self, module: str, name: str) -> object:
        make = ALLOWED_CONSTRUCTORS.get((module, name))
        if make is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is neither an array nor a plain value")
        return _SafeConstructor(make)
