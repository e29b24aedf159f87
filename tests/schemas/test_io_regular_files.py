"""Files from outside: regular ones are read, within a limit; all others are refused without waiting for anything."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mamp_schemas.io.regular_files import open_regular, read_regular, read_regular_text


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, inside(path.parent):  # the path of a socket must be short
        bound.bind(path.name)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


SPECIAL: list[tuple[Callable[[Path], None], str]] = [
    (make_fifo, "is a FIFO, not a file"),
    (make_socket, "is a socket, not a file"),
    (link_to_device, "is a device, not a file"),
    (Path.mkdir, "is a folder, not a file"),
]


@pytest.mark.parametrize(("make", "reason"), SPECIAL, ids=["FIFO", "socket", "device", "folder"])
def test_open_regular__refuses_what_is_no_file(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(OSError, match=reason) as caught:
        open_regular(path)
    assert (caught.value.strerror, caught.value.filename) == (reason, str(path))


def test_open_regular__follows_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        file.seek(3)
        assert file.read() == b"tent"


@pytest.mark.parametrize("size", [0, 9, 10])
def test_read_regular__up_to_the_limit(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert read_regular(path, 10) == b"x" * size


def test_read_regular__a_sparse_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(OSError, match="has more than 1,024 bytes"):
        read_regular(path, 1_024)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_read_regular__a_file_that_claims_no_bytes_and_has_some() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(OSError, match="has more than 100 bytes"):
        read_regular(Path("/proc/self/maps"), 100)


def test_read_regular_text__bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("näme", encoding="utf-8")
    assert read_regular_text(path, 10) == "näme"
    path.write_text("näme", encoding="latin-1")
    with pytest.raises(UnicodeDecodeError):
        read_regular_text(path, 10)
