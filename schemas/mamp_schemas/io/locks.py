"""Locks between processes, so that only one command at a time writes an output."""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mamp_schemas.errors import MampctlError, OutputError, StoreExistsError
from mamp_schemas.io.storage_path import MAX_NAME_BYTES, StoragePath, is_remote

_MAX_STORE_NAME_BYTES = MAX_NAME_BYTES - 55


@contextmanager
def exclusive_lock(lock_file: Path, held: Callable[[str], MampctlError], *, required: bool = True) -> Iterator[None]:
    """Hold a lock for this process. The operating system releases it when the process ends, even if it is killed.

    Args:
        lock_file: locked, and removed at the end; its folder is made. It names the holder.
        held: makes the error when another process holds the lock, from that process's description.
        required: whether a file system that cannot lock is an error; some that several hosts share cannot.

    Raises:
        MampctlError: that of `held`.
        OSError: the file cannot be made or locked; names its folder.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    # A lock by mere existence, filelock's substitute where flock is missing, would survive a killed process.
    lock = FileLock(lock_file, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise held(_read_holder(lock_file)) from None
    except OSError as problem:
        if required:  # the folder is what the user knows, not our file in it
            raise OSError(problem.errno, problem.strerror, str(lock_file.parent)) from problem
        with suppress(OSError):
            lock_file.unlink()
        yield
        return
    try:
        with suppress(OSError):  # a full disk; the name of the holder is a help only
            lock_file.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        # Removed while it is still locked. Whoever has opened it by now sees that it has no name any more.
        lock_file.unlink(missing_ok=True)
        lock.release()


@contextmanager
def lock_output(out: StoragePath) -> Iterator[None]:
    """Hold a store's output for this process, by a file beside it.

    Nothing can be locked in a bucket. Of two commands that write there at once, one removes the staging files of the
    other, which then ends with an error.

    Args:
        out: the store to be written.

    Raises:
        StoreExistsError: another process holds it.
        OutputError: its name is too long for the names that are made from it.
    """
    if is_remote(out):
        yield
        return
    out = out.resolve()
    if len(os.fsencode(out.name)) > _MAX_STORE_NAME_BYTES:
        raise OutputError(
            f"{out}: the name has {len(os.fsencode(out.name))} bytes, that of a store at most {_MAX_STORE_NAME_BYTES}: "
            "names of split lists and of unfinished parts are made from it",
            remedy="Choose a shorter name.",
        )

    def held(holder: str) -> StoreExistsError:
        return StoreExistsError(
            f"{out}: another mampctl command is writing there ({holder})",
            remedy="Wait for it to end, or choose another --out.",
        )

    with exclusive_lock(out.with_name(f".{out.name}.lock"), held):
        yield


def _read_holder(lock_file: Path) -> str:
    try:
        return lock_file.read_text(errors="replace") or "another process"
    except OSError:  # removed meanwhile
        return "another process"
