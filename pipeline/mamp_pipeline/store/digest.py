"""The content hash: a digest per clip, and one over all of them that no division of the work can change."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.base import canonical_json
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import StorePolicy
from mamp_schemas.protocols import UNLISTED
from mamp_schemas.store import DIGEST_BYTES, FORMAT_VERSION


def clip_digest(info: ClipInfo, joints: NDArray[np.float32], valid_frames: int) -> bytes:
    """Return the blake2b digest (16 bytes) of a clip: its columns and the bytes of its joints.

    Motion and intensity are functions of the joints and the motion spec, so they need no share in it.

    Args:
        info: id, label and numbers.
        joints: (M, T, V, 3) float32.
        valid_frames: Tv.
    """
    facts = {
        "id": info.id, "label": info.label, "subject": info.subject, "camera": info.camera,
        "setup": info.setup, "replication": info.replication, "valid_frames": valid_frames,
        "shape": list(joints.shape),
    }  # fmt: skip
    sides = {"xsub": info.xsub, "xview": info.xview}
    facts.update({name: side for name, side in sides.items() if side != UNLISTED})
    state = hashlib.blake2b(canonical_json(facts), digest_size=DIGEST_BYTES)
    state.update(np.ascontiguousarray(joints, dtype="<f4").data)
    return state.digest()


def content_hash(dataset: str, policy: StorePolicy, motion: MotionSpec, clips: Iterable[tuple[str, bytes]]) -> str:
    """Return the sha256 of a store's content.

    Args:
        dataset: what the dataset is known by (`identify`).
        policy: how clips were made.
        motion: how motion and intensity were made.
        clips: (id, digest) of every clip, in any order.
    """
    head = {
        "format_version": FORMAT_VERSION,
        "dataset": dataset,
        "policy": policy.canonical_data(),
        "motion": motion.canonical_data(),
    }
    state = hashlib.sha256(canonical_json(head))
    for name, digest in sorted(clips):
        state.update(name.encode("ascii") + b"\0" + digest)
    return state.hexdigest()
