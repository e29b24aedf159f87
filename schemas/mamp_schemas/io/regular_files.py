"""Open and read files that come from outside: regular files and links to them, and none that is larger than expected.

A FIFO would block for ever, a device or a file of /proc may have no end, and the size of a sparse file says nothing
about the memory that its content takes. Refusals are `OSError`, like those of the operating system, so that whoever
names the file in an error tells their `strerror`.
"""

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

SETTINGS_BYTES = 2**20
"""The largest recipe or layout that is read: 1 MiB. The largest that is built in has 4 kB."""

LIST_BYTES = 2**28
"""The largest list of names that is read: 256 MiB. NTU RGB+D 120's 114,480 names take 2.4 MB."""

RECORD_BYTES = 2**30
"""The largest JSON file that is read: 1 GiB. A manifest of NTU RGB+D 120 takes 2.8 MB, an analysis less than 100 MB."""

CHECKPOINT_BYTES = 2**33
"""The largest file of a checkpoint that is read: 8 GiB. The paper's network, with its optimiser, takes 100 MB."""

_CHUNK_BYTES = 2**20

_KINDS = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading in binary; never waits for another process.

    Raises:
        IsADirectoryError: it is a folder.
        OSError: it cannot be opened, or is a FIFO, a socket or a device.
    """
    return BufferedReader(open_unbuffered(path))


def open_unbuffered(path: Path) -> FileIO:
    """Open as `open_regular` does, without a buffer: for files that are read once and whole."""
    # Looked at before it is opened, since opening a device can have effects, and again afterwards, since the name
    # may belong to another file by then.
    _check_regular(path, path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file.
        limit: the most bytes that it may have.

    Raises:
        OSError: it cannot be read, is not a regular file, or has more bytes.
    """
    with open_unbuffered(path) as file:
        if os.fstat(file.fileno()).st_size <= limit:
            content = read_at_most(file, limit + 1)
            if len(content) <= limit:
                return content
    raise OSError(errno.EINVAL, too_large(limit), str(path))


def read_regular_text(path: Path, limit: int) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        OSError: as `read_regular`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_regular(path, limit).decode("utf-8")


def read_at_most(file: FileIO, size: int) -> bytes:
    """Return the next bytes of a file: `size` of them, or all there are. Memory is taken as they come.

    Raises:
        OSError: it cannot be read, or gives nothing without waiting, as some files of /proc do.
    """
    chunks: list[bytes] = []
    expected, held = max(os.fstat(file.fileno()).st_size - file.tell(), 0) + 1, 0
    while held < size:
        chunk = file.read(min(max(expected - held, _CHUNK_BYTES), size - held))
        if chunk is None:
            raise OSError(errno.EINVAL, "gives no bytes without waiting: not an ordinary file")
        if not chunk:
            break
        chunks.append(chunk)
        held += len(chunk)
    return b"".join(chunks)


def too_large(limit: int) -> str:
    """Say that a file is too large to be read."""
    return f"has more than {limit:,} bytes, the most that such a file may have"


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"is a {_KINDS.get(stat.S_IFMT(mode), 'special file')}, not a file", str(path))
