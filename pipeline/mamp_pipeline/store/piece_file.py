"""A piece as a file: a head in JSON, then the bytes of its arrays, each with a CRC-32C.

Pieces are written once, read twice and removed: an archive format's copies would cost as much as parsing does.
"""

import json
import os
import struct
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.places import open_binary
from mamp_pipeline.store.files import write_atomic
from mamp_pipeline.store.piece import StagedPart
from mamp_schemas.errors import StoreError
from mamp_schemas.places import StoragePath
from mamp_schemas.store import QuarantinedFile

_PREFIX = struct.Struct("<8sQI")
_MAGIC = b"mampiece"


class DamagedPartError(StoreError):
    """A staged piece cannot be read."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What the head says: notes, and name, dtype, shape and CRC of every array, in order."""

    job: str
    ids: list[str]
    quarantined: list[dict[str, Any]]
    tally: dict[str, int]
    arrays: list[tuple[str, str, list[int], int]]

    def array_bytes(self, array: tuple[str, str, list[int], int]) -> int:
        """Return an array's bytes."""
        return int(np.dtype(array[1]).itemsize * np.prod(array[2], dtype=np.int64))


def write_part(path: StoragePath, part: StagedPart, job_digest: str) -> None:
    """Write a piece under its final name in one step, so that a piece that is there is whole.

    Args:
        path: where to.
        piece: with its rows.
        job: digest of all the piece was made from, kept with it.
    """
    if part.joints is None:
        raise StoreError(f"{path}: a piece without rows cannot be written")
    arrays = {name: np.ascontiguousarray(values) for name, values in (*part.columns.items(), ("joints", part.joints))}
    buffers = [values.reshape(-1).view(np.uint8) for values in arrays.values()]
    head = {
        "job": job_digest,
        "ids": part.ids,
        "quarantined": [entry.model_dump(mode="json") for entry in part.quarantined],
        "tally": dict(part.counts),
        "arrays": [
            (name, values.dtype.str, values.shape, google_crc32c.value(buffer))
            for (name, values), buffer in zip(arrays.items(), buffers, strict=True)
        ],
    }
    text = json.dumps(head).encode()
    write_atomic(
        path, _PREFIX.pack(_MAGIC, len(text), google_crc32c.value(text)), text, *(buffer.data for buffer in buffers)
    )


def read_part(path: StoragePath, *, rows: bool = True) -> StagedPart:
    """Read a piece, with its rows or only its table.

    Raises:
        DamagedPieceError: the piece is damaged or not there.
    """
    try:
        with open_binary(path, whole=rows) as file:
            head = _read_header(file)
            wanted = [array for array in head.arrays if rows or array[0] != "joints"]
            arrays = {array[0]: _read_array(file, head, array) for array in wanted}
    except (OSError, ValueError) as problem:
        raise DamagedPartError(
            f"{path}: staged piece cannot be read: {problem}",
            remedy="Run the same mampctl ingest command again: it makes that piece anew.",
        ) from problem
    joints = arrays.pop("joints", None)
    quarantined = tuple(QuarantinedFile(**entry) for entry in head.quarantined)
    return StagedPart(head.ids, arrays, joints, quarantined, head.tally)


def read_job_digest(path: StoragePath) -> str | None:
    """Return the digest of what a piece was made from; None where it is missing, cut short or its head is damaged.

    A cheap look: the arrays' CRCs are checked when they are read.
    """
    try:
        with open_binary(path) as file:
            head = _read_header(file)
            expected = file.tell() + sum(head.array_bytes(array) for array in head.arrays)
            return head.job if file.seek(0, os.SEEK_END) == expected else None
    except (OSError, ValueError):
        return None


def _read_header(file: BufferedIOBase) -> _Header:
    start = file.read(_PREFIX.size)
    if len(start) < _PREFIX.size or not start.startswith(_MAGIC):
        raise ValueError("it has no head")
    _, length, checksum = _PREFIX.unpack(start)
    text = file.read(length)
    if len(text) < length or google_crc32c.value(text) != checksum:
        raise ValueError("its head does not have its checksum")
    return _Header(**json.loads(text))


def _read_array(file: BufferedIOBase, head: _Header, array: tuple[str, str, list[int], int]) -> NDArray[Any]:
    name, dtype, shape, checksum = array
    values = np.empty(head.array_bytes(array), np.uint8)
    if file.readinto(values.data) < len(values) or google_crc32c.value(values) != checksum:
        raise ValueError(f"'{name}' does not have its checksum")
    return values.view(dtype).reshape(shape)
