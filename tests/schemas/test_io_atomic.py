"""Files and folders are written whole or not at all; errors say what the operating system says and what to do."""

import errno
from pathlib import Path

import pytest

from mamp_schemas.errors import OutputError
from mamp_schemas.io.atomic import (
    atomic_file,
    atomic_folder,
    output_errors,
    partial_path,
    remove_partials,
    require_new_file,
    write_file,
    write_folder,
)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_output_errors__a_refusal_is_told_once(code: int) -> None:
    with pytest.raises(OutputError) as caught, output_errors(Path("store")):
        raise PermissionError(code, "Permission denied", "store")
    assert (caught.value.message, caught.value.remedy) == (
        "store: cannot be written: Permission denied",
        "Choose an output you may write to.",
    )


def test_output_errors__a_folder_in_the_way_is_named_not_the_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "marker").mkdir()
    with pytest.raises(OutputError, match=r"/marker: cannot be written: Is a directory") as caught:
        write_file(tmp_path / "marker", b"content")
    assert "Remove it" in caught.value.remedy


class StoppedError(Exception):
    """Raised in the middle of writing."""


def write_half(path: Path) -> None:
    with atomic_file(path, overwrite=True) as partial:
        partial.write_text("half")
        raise StoppedError


def test_atomic_file__appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with atomic_file(path) as partial:
        partial.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_file__an_error_keeps_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("older")
    with pytest.raises(StoppedError):
        write_half(path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_file__refuses_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("older")
    with pytest.raises(OutputError, match="already exists"), atomic_file(path):
        pass


def test_require_new_file__makes_the_folder(tmp_path: Path) -> None:
    require_new_file(tmp_path / "new" / "file")
    assert list((tmp_path / "new").iterdir()) == []


def test_write_file__replaces_and_returns_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_file(path, b"older") == 5
    assert write_file(path, b"newer!") == 6
    assert path.read_bytes() == b"newer!"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_folder__an_empty_folder_is_replaced_a_full_one_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with atomic_folder(folder) as partial:
        (partial / "file").touch()
    assert [path.name for path in folder.iterdir()] == ["file"]
    with pytest.raises(OutputError, match="not an empty folder"), atomic_folder(folder):
        pass


def test_write_folder__replaces_an_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write_folder(folder, {"one": b"1", "two": b"2"})
    write_folder(folder, {"two": b"22"})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"two": b"22"}
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["a" * 250, "a" * 255, "é" * 127])
def test_write_file__a_name_as_long_as_file_systems_hold(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, b"content")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"content"}


def test_write_file__a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long") as caught:
        write_file(tmp_path / ("a" * 256), b"content")
    assert "Choose a shorter one" in caught.value.remedy


def test_remove_partials__removes_files_and_folders_of_killed_processes(tmp_path: Path) -> None:
    kept = tmp_path / "file"
    kept.touch()
    partial_path(kept).write_text("half")
    partial_path(tmp_path / "folder").mkdir()
    remove_partials(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
