"""Write files whole or not at all. A file under its final name is always complete."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mamp_schemas.errors import OutputError
from mamp_schemas.io.storage import write_object
from mamp_schemas.io.storage_path import ObjectUrl, StoragePath


def write_atomic(path: StoragePath, *chunks: bytes | memoryview, durable: bool = False) -> int:
    """Write a file in one step: beside its place first, then renamed; an object in a bucket is written so anyway.

    The name beside is nobody else's: two processes, on two machines even, may write the same file at once.

    Args:
        path: its final name.
        chunks: what it holds, one after the other.
        durable: wait until it is on disk. Not worth the time for what is checked when it is read.

    Returns:
        Its bytes.
    """
    if isinstance(path, ObjectUrl):
        whole = b"".join(chunks)
        write_object(path, whole)
        return len(whole)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            size = file.tell()
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        return size
    finally:
        temporary.unlink(missing_ok=True)


_FREE_SPACE = (
    "Free some space, or choose an output elsewhere; then run the same command again, a training with --resume."
)
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


@contextmanager
def atomic_file(out: Path) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes `out` when the block ends without an error.

    Raises:
        OutputError: `out` is there already or cannot be written.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already", remedy="Remove it or name another --out.")
    temporary = out.with_name(f"{out.name}.{os.getpid()}.part")
    with output_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)


def write_output(out: Path, data: bytes) -> int:
    """Write a page or a picture in one step, replacing what was there; return its bytes.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(out, len(data)):
        out.parent.mkdir(parents=True, exist_ok=True)
        return write_atomic(out, data)


PARTIAL_SUFFIX = ".partial"
"""Suffix of what is not finished yet; such a file or folder may be removed at any time."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file through a sibling, so that its name never holds a part of it.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
    with output_errors(path, len(content)):
        try:
            _write_synced(partial, content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files through a sibling; an older folder of the name gives way.

    Raises:
        OutputError: it cannot be written; the older folder stays, nothing else is left behind.
    """
    partial = folder.with_name(f".{folder.name}{PARTIAL_SUFFIX}")
    with output_errors(folder, sum(len(content) for content in files.values())):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for name, content in files.items():
                _write_synced(partial / name, content)
            _sync_folder(partial)
            _replace_folder(partial, folder)
            _sync_folder(folder.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(partial: Path, folder: Path) -> None:
    """Give the finished folder its name; a folder cannot be replaced in one move, so the old one steps aside."""
    older = folder.with_name(f".{folder.name}.older{PARTIAL_SUFFIX}")
    if folder.exists():
        shutil.rmtree(older, ignore_errors=True)
        folder.rename(older)
    partial.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
