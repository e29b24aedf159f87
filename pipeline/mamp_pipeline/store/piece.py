"""Staged pieces: the clips of one part, parsed and waiting to be packed into the store."""

import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import mean_intensity
from mamp_pipeline.raw.bodies import Clip, ClipInfo
from mamp_pipeline.store.digest import digest_clip
from mamp_schemas.errors import StoreError
from mamp_schemas.motion import MotionSpec
from mamp_schemas.store import DIGEST_BYTES, Quarantined

NUMBERS = ("label", "subject", "camera", "setup", "replication")


@dataclass(frozen=True)
class Piece:
    """The clips of one part, rows packed body after body.

    Attributes:
        ids: clip ids, sorted.
        columns: label, numbers, frames, bodies, valid_frames (clips,), digest (clips, 16).
        joints: (rows, V, 3) float32, or None where only the table was read.
        quarantined: files of the part left out.
    """

    ids: list[str]
    columns: dict[str, NDArray[Any]]
    joints: NDArray[np.float32] | None
    quarantined: tuple[Quarantined, ...]


def make_piece(
    clips: Sequence[tuple[ClipInfo, Clip]],
    quarantined: Sequence[Quarantined],
    joints: int,
    motion: MotionSpec,
) -> Piece:
    """Pack the clips of a part.

    Args:
        clips: in order of id.
        quarantined: files left out.
        joints: V, needed where no clip is left.
        motion: how intensity is computed.
    """
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(info, name) for info, _ in clips], dtype=np.int64) for name in NUMBERS
    }
    columns["frames"] = frames = np.array([clip.joints.shape[1] for _, clip in clips], dtype=np.int64)
    columns["bodies"] = bodies = np.array([clip.joints.shape[0] for _, clip in clips], dtype=np.int64)
    columns["valid_frames"] = np.array([clip.valid_frames for _, clip in clips], dtype=np.int64)
    digests = [digest_clip(info, clip.joints, clip.valid_frames) for info, clip in clips]
    columns["digest"] = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(clips), DIGEST_BYTES)
    packed = np.empty((int((frames * bodies).sum()), joints, 3), dtype=np.float32)
    if clips:
        np.concatenate([clip.joints.reshape(-1, joints, 3) for _, clip in clips], out=packed)
    columns["mean_intensity"] = mean_intensity(packed, frames, bodies, motion.segment)
    return Piece([info.id for info, _ in clips], columns, packed, tuple(quarantined))


def write_piece(path: Path, piece: Piece) -> None:
    """Write a piece under its final name in one step, so that a piece that is there is whole."""
    buffer = io.BytesIO()
    notes = {"ids": piece.ids, "quarantined": [entry.model_dump(mode="json") for entry in piece.quarantined]}
    text = np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8)
    if piece.joints is None:
        raise StoreError(f"{path}: a piece without rows cannot be written")
    np.savez(buffer, notes=text, joints=piece.joints, **piece.columns)  # type: ignore[arg-type]
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_piece(path: Path, *, rows: bool = True) -> Piece:
    """Read a piece, with its rows or only its table; zip CRCs guard every array.

    Raises:
        StoreError: the piece is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            notes = json.loads(file["notes"].tobytes())
            columns = {name: file[name] for name in file.files if name not in ("notes", "joints")}
            joints = file["joints"] if rows else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as problem:
        raise StoreError(
            f"{path}: staged piece cannot be read: {problem}",
            remedy=f"Remove {path.parent} and run the same mampctl ingest command again.",
        ) from problem
    quarantined = tuple(Quarantined(**entry) for entry in notes["quarantined"])
    return Piece(notes["ids"], columns, joints, quarantined)
