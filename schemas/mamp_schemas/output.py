"""What the operating system says of an output, put into an error that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mamp_schemas.errors import OutputError

_REMEDIES = {
    errno.ENOSPC: "The disk is full. Free some space, or choose an output elsewhere; then run the same command again.",
    errno.EDQUOT: "The disk quota is used up. Free some space, or choose an output elsewhere; then run it again.",
    errno.EROFS: "The file system is read-only. Choose an output elsewhere.",
    errno.EACCES: "Permission denied. Choose an output you may write to.",
    errno.EPERM: "Permission denied. Choose an output you may write to.",
    errno.ENOTDIR: "A part of the path is a file. Choose another output.",
}


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write at `path` into `OutputError`.

    Raises:
        OutputError: the disk is full, the folder read-only or forbidden.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno not in _REMEDIES:
            raise
        place = problem.filename or path
        raise OutputError(f"{place}: cannot write: {problem.strerror}", remedy=_REMEDIES[problem.errno]) from problem
