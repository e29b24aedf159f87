"""Reading, listing and removing at a place, be it a path or the URL of an object store.

In a bucket an object is whole or not there, folders are nothing but names, and nothing can be locked.
`mamp_pipeline.store.files.write_whole` writes; `mamp_pipeline.places.zarr_stores` is zarr's way in.
"""

import os
import shutil
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path

from mamp_pipeline.places import bucket, reader
from mamp_schemas.places import ObjectUrl, StoragePath


def read_bytes(file: StoragePath) -> bytes:
    """Return the bytes of a file.

    Raises:
        FileNotFoundError: it is not there.
    """
    return bucket.read_object(file) if isinstance(file, ObjectUrl) else file.read_bytes()


def open_binary(file: StoragePath, *, whole: bool = False) -> BufferedIOBase:
    """Open a file for reading, seekable.

    Args:
        file: the file.
        whole: whether all of it will be read: out of a bucket it then comes in one request.

    Raises:
        FileNotFoundError: it is not there; in a bucket that may show only when it is read.
    """
    return reader.open_object(file, whole=whole) if isinstance(file, ObjectUrl) else file.open("rb")


def is_file(place: StoragePath) -> bool:
    """Tell whether a single file stands at the place."""
    return bucket.head_object(place) is not None if isinstance(place, ObjectUrl) else place.is_file()


def exists(place: StoragePath) -> bool:
    """Tell whether a file or folder stands at the place; a folder in a bucket is there while it has an object."""
    if isinstance(place, ObjectUrl):
        return is_file(place) or any(True for _ in bucket.list_objects(place))
    return place.exists()


def file_size(file: StoragePath) -> int:
    """Return a file's bytes.

    Raises:
        FileNotFoundError: it is not there.
    """
    return bucket.object_size(file) if isinstance(file, ObjectUrl) else file.stat().st_size


def list_file_sizes(folder: StoragePath) -> dict[str, int]:
    """Return the bytes of every file in a folder and those below, by its path in it; none where it is not there."""
    if isinstance(folder, ObjectUrl):
        return {found.name: found.size for found in bucket.list_objects(folder)}
    sizes = {}
    for file in (Path(parent) / name for parent, _, names in os.walk(folder) for name in names):
        with suppress(FileNotFoundError):  # a process that was given up may still rename its own
            sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    return sizes


def make_folder(folder: StoragePath) -> None:
    """Make a folder and those above it, where there is none and a folder is more than a name."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def remove_file(file: StoragePath) -> None:
    """Remove a file, if it is there."""
    if isinstance(file, ObjectUrl):
        bucket.delete_objects([file])
    else:
        file.unlink(missing_ok=True)


def clear_folder(folder: StoragePath, keep: str) -> None:
    """Remove what stands in a folder, but for the file `keep`."""
    if isinstance(folder, ObjectUrl):
        bucket.delete_objects([folder / found.name for found in bucket.list_objects(folder) if found.name != keep])
        return
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
