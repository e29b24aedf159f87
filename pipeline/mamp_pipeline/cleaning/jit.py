"""How functions are compiled by numba, under which name their code is cached on disk, and the sum of variances.

`denoise` imports this module where numba is installed.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

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
    package = Path(__file__).parents[1]
    sources = sorted((*package.glob("datasets/ntu/*.py"), *package.glob("cleaning/*.py")))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


@cached_njit
def sum_variances_compiled(points: Any) -> Any:
    """Return the sum of the variances of the columns of (n, 3) float32, equal to `sum_variances_numpy` bit for bit.

    NumPy adds along the first of two axes, one value after the other.
    """
    count = np.float32(len(points))
    x, y, z = np.float32(0), np.float32(0), np.float32(0)
    for row in range(len(points)):
        x += points[row, 0]
        y += points[row, 1]
        z += points[row, 2]
    mean_x, mean_y, mean_z = x / count, y / count, z / count
    x, y, z = np.float32(0), np.float32(0), np.float32(0)
    for row in range(len(points)):
        off_x, off_y, off_z = points[row, 0] - mean_x, points[row, 1] - mean_y, points[row, 2] - mean_z
        x += off_x * off_x
        y += off_y * off_y
        z += off_z * off_z
    return x / count + y / count + z / count
