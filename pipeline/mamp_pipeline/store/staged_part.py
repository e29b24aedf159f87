"""A staged part: parsed clips that wait to be packed into the store, in memory and as a file.

The file is a JSON header followed by the bytes of each array, each with a CRC-32C. Staged parts are written once, read
twice and removed; the copies that an archive format makes would take as long as parsing.
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import Clip, ClipInfo
from mamp_pipeline.motion import mean_intensity
from mamp_pipeline.store.metadata import CLIP_NUMBERS, clip_digest
from mamp_schemas.errors import StoreError
from mamp_schemas.io.atomic import write_atomic
from mamp_schemas.io.storage import open_binary
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.store import DIGEST_BYTES, MotionSpec, QuarantinedFile


@dataclass(frozen=True)
class StagedPart:
    """The clips of one part of the input, rows packed body after body.

    Attributes:
        ids: clip ids, sorted.
        columns: label, numbers, frames, bodies, valid_frames (clips,), digest (clips, 16).
        joints: (rows, V, 3) float32; None if only the columns were read.
        quarantined: files of the part that gave no clip.
        counts: clips that a field of the policy touches, and the notes of `NOTE_DESCRIPTIONS`.
    """

    ids: list[str]
    columns: dict[str, NDArray[Any]]
    joints: NDArray[np.float32] | None
    quarantined: tuple[QuarantinedFile, ...]
    counts: Mapping[str, int] = field(default_factory=dict)


def pack_part(
    clips: Sequence[tuple[ClipInfo, Clip]],
    quarantined: Sequence[QuarantinedFile],
    joints: int,
    motion: MotionSpec,
    counts: Mapping[str, int] | None = None,
) -> StagedPart:
    """Pack the clips of one part of the input.

    Args:
        clips: in order of id.
        quarantined: files that gave no clip.
        joints: V; there may be no clip to take it from.
        motion: how intensity is computed.
        counts: as in `StagedPart`.
    """
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(info, name) for info, _ in clips], dtype=np.int64) for name in CLIP_NUMBERS
    }
    columns["frames"] = frames = np.array([clip.joints.shape[1] for _, clip in clips], dtype=np.int64)
    columns["bodies"] = bodies = np.array([clip.joints.shape[0] for _, clip in clips], dtype=np.int64)
    columns["valid_frames"] = np.array([clip.valid_frames for _, clip in clips], dtype=np.int64)
    digests = [clip_digest(info, clip.joints, clip.valid_frames) for info, clip in clips]
    columns["digest"] = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(clips), DIGEST_BYTES)
    packed = np.empty((int((frames * bodies).sum()), joints, 3), dtype=np.float32)
    if clips:
        np.concatenate([clip.joints.reshape(-1, joints, 3) for _, clip in clips], out=packed)
    columns["mean_intensity"] = mean_intensity(packed, frames, bodies, motion.segment)
    return StagedPart([info.id for info, _ in clips], columns, packed, tuple(quarantined), dict(counts or {}))


_PREFIX = struct.Struct("<8sQI")
_MAGIC = b"mamppart"


class DamagedPartError(StoreError):
    """A staged part cannot be read."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The header: notes, and the name, dtype, shape and CRC of every array, in order."""

    job: str
    ids: list[str]
    quarantined: list[dict[str, Any]]
    counts: dict[str, int]
    arrays: list[tuple[str, str, list[int], int]]

    def array_bytes(self, array: tuple[str, str, list[int], int]) -> int:
        """Return an array's bytes."""
        return int(np.dtype(array[1]).itemsize * np.prod(array[2], dtype=np.int64))


def write_part(path: StoragePath, part: StagedPart, job_digest: str) -> None:
    """Write a staged part in one step.

    Args:
        path: its file.
        part: with its rows.
        job_digest: digest of everything that the part was made from, kept with it.
    """
    if part.joints is None:
        raise StoreError(f"{path}: a staged part without rows cannot be written")
    arrays = {name: np.ascontiguousarray(values) for name, values in (*part.columns.items(), ("joints", part.joints))}
    buffers = [values.reshape(-1).view(np.uint8) for values in arrays.values()]
    header = {
        "job": job_digest,
        "ids": part.ids,
        "quarantined": [entry.model_dump(mode="json") for entry in part.quarantined],
        "counts": dict(part.counts),
        "arrays": [
            (name, values.dtype.str, values.shape, google_crc32c.value(buffer))
            for (name, values), buffer in zip(arrays.items(), buffers, strict=True)
        ],
    }
    text = json.dumps(header).encode()
    write_atomic(
        path, _PREFIX.pack(_MAGIC, len(text), google_crc32c.value(text)), text, *(buffer.data for buffer in buffers)
    )


def read_part(path: StoragePath, *, rows: bool = True) -> StagedPart:
    """Read a staged part, with its rows or only its columns.

    Raises:
        DamagedPartError: it is damaged or missing.
    """
    try:
        with open_binary(path, whole=rows) as file:
            header = _read_header(file)
            wanted = [array for array in header.arrays if rows or array[0] != "joints"]
            arrays = {array[0]: _read_array(file, header, array) for array in wanted}
    except (OSError, ValueError) as problem:
        raise DamagedPartError(
            f"{path}: staged part cannot be read: {problem}",
            remedy="Run the same mampctl ingest command again: it makes this part anew.",
        ) from problem
    joints = arrays.pop("joints", None)
    quarantined = tuple(QuarantinedFile(**entry) for entry in header.quarantined)
    return StagedPart(header.ids, arrays, joints, quarantined, header.counts)


def read_job_digest(path: StoragePath) -> str | None:
    """Return the digest of what a part was made from; None if it is missing, cut short or has a damaged header.

    Fast: the CRCs of the arrays are checked when they are read.
    """
    try:
        with open_binary(path) as file:
            header = _read_header(file)
            expected = file.tell() + sum(header.array_bytes(array) for array in header.arrays)
            return header.job if file.seek(0, os.SEEK_END) == expected else None
    except (OSError, ValueError):
        return None


def _read_header(file: BufferedIOBase) -> _Header:
    start = file.read(_PREFIX.size)
    if len(start) < _PREFIX.size or not start.startswith(_MAGIC):
        raise ValueError("it has no header")
    _, length, checksum = _PREFIX.unpack(start)
    text = file.read(length)
    if len(text) < length or google_crc32c.value(text) != checksum:
        raise ValueError("the checksum of its header is wrong")
    return _Header(**json.loads(text))


def _read_array(file: BufferedIOBase, header: _Header, array: tuple[str, str, list[int], int]) -> NDArray[Any]:
    name, dtype, shape, checksum = array
    values = np.empty(header.array_bytes(array), np.uint8)
    if file.readinto(values.data) < len(values) or google_crc32c.value(values) != checksum:
        raise ValueError(f"the checksum of '{name}' is wrong")
    return values.view(dtype).reshape(shape)
