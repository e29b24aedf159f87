"""Staged pieces: the clips of one part, parsed and waiting to be packed into the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import mean_intensity
from mamp_pipeline.raw.bodies import Clip, ClipInfo
from mamp_pipeline.store.digest import clip_digest
from mamp_schemas.motion import MotionSpec
from mamp_schemas.store import DIGEST_BYTES, QuarantinedFile

CLIP_NUMBERS = ("label", "subject", "camera", "setup", "replication", "xsub", "xview")


@dataclass(frozen=True)
class StagedPart:
    """The clips of one part, rows packed body after body.

    Attributes:
        ids: clip ids, sorted.
        columns: label, numbers, frames, bodies, valid_frames (clips,), digest (clips, 16).
        joints: (rows, V, 3) float32, or None where only the table was read.
        quarantined: files of the part left out.
        tally: what else was counted: clips that a policy's field touches, and what `NOTES` names.
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
        tally: what else was counted.
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
