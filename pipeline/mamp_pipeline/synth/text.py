"""The text of a synthetic clip: a scene in the NTU `.skeleton` format."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies
from mamp_pipeline.synth.scene import make_scene

_NUMBERS_PER_JOINT = 12
_LEAF_JOINTS = [3, 15, 19, 21, 22, 23, 24]
"""Joints the Kinect gives no orientation: their four numbers are 0."""

_CRLF_CHANCE = 0.25


def make_clip_text(info: ClipInfo, seed: int) -> bytes:
    """Return a clip's raw file: the same bytes for the same clip and seed.

    Numbers have up to 7 significant digits and uppercase exponents, body ids exceed 2^53, and about a quarter
    of the files have CRLF line ends, as the real ones.
    """
    numbers = (info.setup, info.camera, info.subject, info.replication, info.label)
    rng = np.random.default_rng([seed, *numbers])
    scene = make_scene(info, rng)
    lean = rng.normal(0, 0.05, (len(scene.frame), 2))
    joints = _joint_records(scene.joints.astype(np.float64), rng).reshape(len(scene.frame), -1)
    values = np.concatenate((lean, joints), axis=1)
    text = _text_template(scene) % tuple(values.ravel().tolist())
    if rng.random() < _CRLF_CHANCE:
        text = text.replace("\n", "\r\n")
    return text.encode("ascii")


def _joint_records(joints: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (B, V, 12): position, place in the depth and colour images, orientation, tracking state."""
    x, y, z = np.moveaxis(joints, 2, 0)
    records = np.empty((*joints.shape[:2], _NUMBERS_PER_JOINT))
    records[..., :3] = joints
    records[..., 3] = 256 + 365 * x / z
    records[..., 4] = 212 - 365 * y / z
    records[..., 5] = 960 + 1057 * x / z
    records[..., 6] = 540 - 1057 * y / z
    turns = rng.normal(size=(joints.shape[1], 4)) + rng.normal(0, 0.02, (*joints.shape[:2], 4))
    records[..., 7:11] = turns / np.linalg.norm(turns, axis=2, keepdims=True)
    records[:, _LEAF_JOINTS, 7:11] = 0
    records[..., 11] = 2 - (rng.random(joints.shape[:2]) < 0.05)
    return records


def _text_template(scene: RawBodies) -> str:
    """Return the file with a place for every number of `_measure`, after two for the body's lean."""
    count = scene.joints.shape[1]
    rows = ("%.7G " * (_NUMBERS_PER_JOINT - 1) + "%.7G\n") * count
    bodies = [f"{body_id} 0 1 1 1 1 0 %.7G %.7G 2\n{count}\n{rows}" for body_id in scene.body_id.tolist()]
    ends = np.searchsorted(scene.frame, np.arange(scene.frames), side="right").tolist()
    starts = [0, *ends[:-1]]
    frames = [f"{end - start}\n{''.join(bodies[start:end])}" for start, end in zip(starts, ends, strict=True)]
    return f"{scene.frames}\n{''.join(frames)}"
