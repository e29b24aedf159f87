"""Write files and folders whole or not at all: what has its final name is complete.

Everything is first written under a name of its own beside the final one (`.NAME.<random>.partial`), then renamed. Two
processes, even on two machines, may write the same file at once. A process that is killed may leave such a name behind;
it may be removed at any time (`remove_partials`). An object in a bucket is written in one request.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mamp_schemas.errors import OutputError
from mamp_schemas.io.storage import write_object
from mamp_schemas.io.storage_path import MAX_NAME_BYTES, StoragePath, is_remote

PARTIAL_SUFFIX = ".partial"
"""Suffix of files and folders that are not finished. zarr uses the same one."""

_FREE_SPACE = "Free some space or choose another output. Then run the same command again, for a training with --resume."
_OTHER_OUTPUT = "Choose an output you may write to."
_REMEDIES = {
    errno.ENOSPC: f"The disk is full. {_FREE_SPACE}",
    errno.EDQUOT: f"The disk quota is used up. {_FREE_SPACE}",
    errno.EFBIG: "The file would be larger than the limit here. Choose an output elsewhere.",
    errno.EROFS: f"The file system is read-only. {_OTHER_OUTPUT}",
    errno.EACCES: _OTHER_OUTPUT,
    errno.EPERM: _OTHER_OUTPUT,
    errno.EISDIR: "There is a folder of that name. Remove it, or choose another output.",
    errno.ENOENT: f"A folder of the path does not exist or was removed. {_OTHER_OUTPUT}",
    errno.EEXIST: f"There is a file where a folder is needed. {_OTHER_OUTPUT}",
    errno.ENOTDIR: f"A folder of the path is a file. {_OTHER_OUTPUT}",
    errno.ENAMETOOLONG: "The name is too long for the file system. Choose a shorter one.",
    errno.ELOOP: "Links of the path lead in a circle. Remove them, or choose another output.",
}


def partial_path(path: Path) -> Path:
    """Return a name beside `path` that nobody else uses, for what is to become `path`; a long name is shortened."""
    ending = f".{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
    begun = os.fsencode(path.name)[: MAX_NAME_BYTES - len(ending) - 1]
    return path.with_name(f".{os.fsdecode(begun)}{ending}")


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder. Nobody else may be writing there."""
    for left in folder.glob(f".*{PARTIAL_SUFFIX}"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def require_new_file(path: Path) -> None:
    """Check, before the work for it begins, that a new file can be written; make its folder.

    Raises:
        OutputError: it exists, or its folder cannot be made.
    """
    if path.exists():
        raise OutputError(f"{path}: already exists", remedy="Remove it or name another --out.")
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)


def require_new_folder(path: Path) -> None:
    """Make sure that a folder can be made: nothing of its name exists, except an empty folder.

    Raises:
        OutputError: there is something of that name.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise OutputError(f"{path}: already exists and is not an empty folder", remedy="Remove it or name another.")


def write_atomic(path: StoragePath, *chunks: bytes | memoryview, durable: bool = False) -> int:
    """Write a file or object in one step, with the operating system's errors.

    Args:
        path: its final name.
        chunks: its content, one after the other.
        durable: wait until it is on disk. Not worth the time for files that are checked when they are read.

    Returns:
        Its size in bytes.
    """
    if is_remote(path):
        content = b"".join(chunks)
        write_object(path, content)
        return len(content)
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            file.writelines(chunks)
            size = file.tell()
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
        return size
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, *, make_parents: bool = False) -> int:
    """Write a file in one step, replacing an older one.

    Args:
        path: its final name.
        content: what to write.
        make_parents: whether to make the folders above it.

    Returns:
        Its size in bytes.

    Raises:
        OutputError: it cannot be written; nothing is left behind, an older file stays.
    """
    with output_errors(path, len(content)):
        if make_parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        return write_atomic(path, content, durable=True)


@contextmanager
def atomic_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes `path` when the block ends without an error.

    Args:
        path: its final name; its folder is made.
        overwrite: whether an older file is replaced.

    Raises:
        OutputError: the file exists and `overwrite` is false, or it cannot be written.
    """
    if not overwrite:
        require_new_file(path)
    partial = partial_path(path)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False, durable: bool = False, size: int = 0) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `path` when the block ends without an error.

    Args:
        path: its final name; the folders above it are made.
        overwrite: whether an older folder is replaced; an empty one always is.
        durable: wait until the names in it and its own are on disk; the files are the block's concern.
        size: bytes it needs, for the error of a full disk; 0 where that is not known.

    Raises:
        OutputError: there is something of that name and `overwrite` is false, or it cannot be written.
    """
    if not overwrite:
        require_new_folder(path)
    partial = partial_path(path)
    with output_errors(path, size):
        try:
            partial.mkdir(parents=True)
            yield partial
            if durable:
                _sync_folder(partial)
            _rename_folder(partial, path)
            if durable:
                _sync_folder(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files in one step, replacing an older folder.

    Raises:
        OutputError: it cannot be written; the older folder stays, nothing else is left behind.
    """
    size = sum(len(content) for content in files.values())
    with atomic_folder(folder, overwrite=True, durable=True, size=size) as partial:
        for name, content in files.items():
            with (partial / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())


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
        named = problem.filename2 or problem.filename or path  # of a rename the final name, not the temporary one
        raise OutputError(
            f"{named}: cannot be written: {problem.strerror}{needed}",
            remedy=_REMEDIES[problem.errno],
        ) from problem


def _rename_folder(partial: Path, folder: Path) -> None:
    """Give a finished folder its name. A rename cannot replace a folder that has files: it moves away first."""
    if not folder.exists() or not any(folder.iterdir()):
        partial.replace(folder)
        return
    older = partial_path(folder)
    folder.rename(older)
    partial.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
