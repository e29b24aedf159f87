"""Locks, so that only one command at a time writes an output."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mamp_schemas.errors import StoreExistsError
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath


@contextmanager
def lock_output(out: StoragePath) -> Iterator[None]:
    """Hold a store's output for this process; the operating system lets go of it when the process ends.

    Nothing can be held in a bucket: there, of two commands at once the one whose staging the other removes ends with
    that error.

    Args:
        out: the store to be.

    Raises:
        StoreExistsError: another process holds it.
    """
    if isinstance(out, ObjectUrl):
        yield
        return
    out = out.resolve()
    path = out.with_name(f".{out.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _acquire_lock(path, out)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire_lock(path: Path, out: Path) -> int:
    while True:
        handle = _open_lock_file(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise StoreExistsError(
                f"{out}: another mampctl command is writing there",
                remedy="Wait for it to end, or choose another --out.",
            ) from None
        # The last holder may have removed the file between our opening and locking it.
        if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
        os.close(handle)


def _open_lock_file(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as problem:
        # The folder is what the user knows, not our file in it.
        raise OSError(problem.errno, problem.strerror, str(path.parent)) from problem
