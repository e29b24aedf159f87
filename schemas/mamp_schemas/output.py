"""What the operating system says of an output, put into an error that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mamp_schemas.errors import OutputError
from mamp_schemas.places import StoragePath

_FREE_SPACE = "Free some space, or choose an output elsewhere; then run the same command again, a training with --resume."
_OTHER_OUTPUT = "Choose an output you may write to."
_REMEDIES = {
    errno.ENOSPC: f"The disk is full. {_FREE_SPACE}",
    errno.EDQUOT: f"The disk quota is used up. {_FREE_SPACE}",
    errno.EFBIG: "The file would be larger than is allowed here. Choose an output elsewhere.",
    errno.EROFS: f"The file system is read-only. {_OTHER_OUTPUT}",
    errno.EACCES: _OTHER_OUTPUT,
    errno.EPERM: _OTHER_OUTPUT,
    errno.EISDIR: f"A folder stands there. {_OTHER_OUTPUT}",
    errno.ENOENT: f"A folder on the way there is gone, or was never there. {_OTHER_OUTPUT}",
    errno.EEXIST: f"A file stands where a folder is needed. {_OTHER_OUTPUT}",
    errno.ENOTDIR: f"A part of the path is a file. {_OTHER_OUTPUT}",
}


@contextmanager
def output_errors(path: StoragePath, size: int = 0) -> Iterator[None]:
    """Turn the operating system's refusals to write at `path` into `OutputError`.

    Args:
        path: what is being written.
        size: bytes it needs, 0 where that is not known.

    Raises:
        OutputError: the disk is full, the folder read-only or forbidden.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno not in _REMEDIES:
            raise
        needed = f"; {size / 1e6:.1f} MB are needed" if size else ""
        raise OutputError(
            f"{problem.filename or path}: cannot be written: {problem.strerror}{needed}",
            remedy=_REMEDIES[problem.errno],
        ) from problem
