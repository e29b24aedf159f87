"""A staged part: parsed clips that wait to be packed into the store, in memory and as a file.

The file is a JSON head followed by the bytes of each array, every one with a CRC-32C. Parts are written once, read
twice
and removed, so the copies of an archive format would cost as much as parsing.
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
    """The clips of one part, rows packed body after body.

    Attributes:
        ids: clip ids, sorted.
        columns: label, numbers, frames, bodies, valid_frames (clips,), digest (clips, 16).
        joints: (rows, V, 3) float32, or None where only the table was read.
        quarantined: files of the part left out.
        counts: what else was counted: clips that a policy's field touches, and what `NOTES` names.
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
    """Pack the clips of a part.

    Args:
        clips: in order of id.
        quarantined: files left out.
        joints: V, needed where no clip is left.
        motion: how intensity is computed.
        counts: what else was counted.
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
        part: with its rows.
        job_digest: digest of all the piece was made from, kept with it.
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
        DamagedPartError: the piece is damaged or not there.
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
