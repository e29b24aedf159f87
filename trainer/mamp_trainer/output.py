"""Owns writing files and folders: whole or not at all."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from mamp_schemas.output import output_errors

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
