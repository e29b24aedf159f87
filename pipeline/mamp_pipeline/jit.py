"""How functions are compiled by numba, and under which name the compiled code is cached on disk."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

# Without counted references: the callers' arrays outlive every call, and counting them costs up to half the speed.
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}


def inline_njit(function: AnyFunction) -> AnyFunction:
    """Compile a function that compiled functions call, as a part of them."""
    return cast("AnyFunction", numba.njit(**_OPTIONS, forceinline=True)(function))


def cached_njit(function: AnyFunction) -> AnyFunction:
    """Compile a function that Python calls; the code is kept on disk where a folder for it can be had."""
    function.__qualname__ = f"{function.__name__}_{_sources_digest()}"
    try:
        return cast("AnyFunction", numba.njit(**_OPTIONS, cache=True)(function))
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return cast("AnyFunction", numba.njit(**_OPTIONS)(function))


def _sources_digest() -> str:
    """Return a digest of all the sources: numba's cache looks at the file of the function alone."""
    package = Path(__file__).parent
    sources = sorted((*package.glob("datasets/ntu/*.py"), *package.glob("cleaning/*.py")))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
