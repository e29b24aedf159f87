"""Synthetic people in front of a Kinect: class-dependent movement, and the tracker's gaps and phantoms."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_schemas.models.skeleton import KINECT_V2

FRAMES_PER_SECOND = 30.0

_STANDING_POSE = np.array(
    [
        (0, 0, 0), (0, 0.32, 0), (0, 0.62, -0.02), (0, 0.77, -0.03),
        (-0.17, 0.50, 0), (-0.23, 0.24, 0.02), (-0.25, 0.01, -0.05), (-0.26, -0.06, -0.07),
        (0.17, 0.50, 0), (0.23, 0.24, 0.02), (0.25, 0.01, -0.05), (0.26, -0.06, -0.07),
        (-0.08, -0.02, -0.02), (-0.11, -0.42, -0.03), (-0.12, -0.80, 0.02), (-0.13, -0.86, -0.09),
        (0.08, -0.02, -0.02), (0.11, -0.42, -0.03), (0.12, -0.80, 0.02), (0.13, -0.86, -0.09),
        (0, 0.55, -0.01), (-0.26, -0.13, -0.08), (-0.23, -0.08, -0.09), (0.26, -0.13, -0.08), (0.23, -0.08, -0.09),
    ]
)  # fmt: skip
"""(V, 3) metres from the spine base of a person 1.70 m tall who faces the camera: x across, y up, z away."""

_DRIVER_JOINTS = np.array([1, 2, 5, 6, 7, 9, 10, 11, 13, 14, 17, 18])
"""Joints that a class may move; the joints below them follow."""

_NUM_DRIVERS = 3
_MAX_SWING = 0.22
_MAX_POSTURE = 0.12
_SENSOR_NOISE = 0.004


@dataclass(frozen=True, slots=True)
class _MotionPattern:
    """The movement of one role of a class, for K driver joints.

    Attributes:
        follows: (V, K) 1 where a joint follows a driver.
        posture, swing: (K, 3) metres.
        hertz, phase: (K,).
    """

    follows: NDArray[np.float64]
    posture: NDArray[np.float64]
    swing: NDArray[np.float64]
    hertz: NDArray[np.float64]
    phase: NDArray[np.float64]


def move_person(action: int, role: int, subject: int, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (T, V, 3) metres about a person's spine base, facing the camera.

    The class determines the movement; its size, tempo and phase vary a little from clip to clip, the body's height
    from subject to subject.

    Args:
        action: 1-based class.
        role: 0 for the acting person, 1 for the other.
        subject: determines the body.
        frames: T.
        rng: draws what varies from clip to clip.
    """
    pattern = _motion_pattern(action, role)
    seconds = np.arange(frames)[:, None] / FRAMES_PER_SECOND * rng.uniform(0.9, 1.1)
    angle = 2 * np.pi * pattern.hertz * seconds + pattern.phase + rng.uniform(-0.5, 0.5)
    driven = pattern.posture + rng.uniform(0.8, 1.2) * np.sin(angle)[:, :, None] * pattern.swing
    height = np.random.default_rng([subject, role, 1]).uniform(0.88, 1.12)
    noise = rng.normal(0, _SENSOR_NOISE, (frames, *_STANDING_POSE.shape))
    body: NDArray[np.float64] = height * (_STANDING_POSE + pattern.follows @ driven) + noise
    return body


@cache
def _motion_pattern(action: int, role: int) -> _MotionPattern:
    rng = np.random.default_rng([action, role])
    drivers = rng.choice(_DRIVER_JOINTS, _NUM_DRIVERS, replace=False)
    return _MotionPattern(
        follows=_joint_descendants()[:, drivers],
        posture=rng.uniform(-_MAX_POSTURE, _MAX_POSTURE, (_NUM_DRIVERS, 3)),
        swing=rng.uniform(-_MAX_SWING, _MAX_SWING, (_NUM_DRIVERS, 3)),
        hertz=rng.uniform(0.4, 2.0, _NUM_DRIVERS),
        phase=rng.uniform(0, 2 * np.pi, _NUM_DRIVERS),
    )


@cache
def _joint_descendants() -> NDArray[np.float64]:
    """Return (V, V): 1 where the row's joint is the column's joint or below it."""
    count = len(KINECT_V2.parents)
    below = np.eye(count)
    for _ in range(count):
        below = np.maximum(below, below[list(KINECT_V2.parents)])
    return below


TWO_PERSON_ACTIONS = frozenset((*range(50, 61), *range(106, 121)))
"""1-based classes of two people, by the convention of NTU-60 and NTU-120."""

_FRAMES = (40, 120)
_CAMERA_YAW = {1: -np.pi / 4, 2: 0.0, 3: np.pi / 4}
_FIRST_ID = 72_057_594_037_900_000
_GAP_CHANCE = 0.15
_PHANTOM_CHANCE = 0.1

_TrackedBody = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""(T, V, 3) metres, and (T,) the frames in which the tracker sees the body."""


def make_scene(info: ClipInfo, rng: np.random.Generator) -> RawBodies:
    """Return a clip's bodies as a Kinect would record them: one or two people, sometimes a phantom.

    Args:
        info: the clip's class, subject and camera.
        rng: draws what varies from clip to clip.
    """
    frames = int(rng.integers(_FRAMES[0], _FRAMES[1] + 1))
    bodies = [(joints, _tracked_frames(frames, rng)) for joints in _place_people(info, frames, rng)]
    if rng.random() < _PHANTOM_CHANCE:
        bodies.append(_make_phantom(frames, rng))
    return _to_raw_bodies(frames, bodies, rng)


def _place_people(info: ClipInfo, frames: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Return people 3 m before the camera: one at the centre of the scene, two face to face across it."""
    action = info.label + 1
    position = np.random.default_rng([info.subject, 2]).uniform((-0.3, -0.25, 2.8), (0.3, 0.05, 3.4))
    view = _CAMERA_YAW[info.camera]
    if action not in TWO_PERSON_ACTIONS:
        return [_rotate_yaw(move_person(action, 0, info.subject, frames, rng), view) + position]
    aside = np.array((0.45, 0, 0))
    left = _rotate_yaw(move_person(action, 0, info.subject, frames, rng), np.pi / 3) - aside
    right = _rotate_yaw(move_person(action, 1, info.subject, frames, rng), -np.pi / 3) + aside
    return [_rotate_yaw(left, view) + position, _rotate_yaw(right, view) + position]


def _rotate_yaw(joints: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
    """Rotate (T, V, 3) about the vertical."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned: NDArray[np.float64] = joints @ np.array(((cos, 0, -sin), (0, 1, 0), (sin, 0, cos)))
    return turned


def _tracked_frames(frames: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (T,) the frames in which a person is tracked: all, or all but a few in the middle."""
    seen = np.ones(frames, dtype=np.bool_)
    if rng.random() < _GAP_CHANCE:
        start = rng.integers(5, frames - 15)
        seen[start : start + rng.integers(1, 11)] = False
    return seen


def _make_phantom(frames: int, rng: np.random.Generator) -> _TrackedBody:
    """Return a short-lived body of scattered joints, such as furniture gives."""
    joints = rng.normal((1.2, 0, 3.5), (0.5, 0.2, 0.2), (frames, 25, 3))
    seen = np.zeros(frames, dtype=np.bool_)
    start = rng.integers(0, frames - 11)
    seen[start : start + rng.integers(3, 12)] = True
    return joints, seen


def _to_raw_bodies(frames: int, bodies: list[_TrackedBody], rng: np.random.Generator) -> RawBodies:
    """Put bodies into file order: frame after frame, body after body."""
    seen = np.stack([seen for _, seen in bodies], axis=1)
    joints = np.stack([joints for joints, _ in bodies], axis=1)
    ids = _FIRST_ID + rng.choice(100_000, len(bodies), replace=False)
    frame, body = np.nonzero(seen)
    return RawBodies(frames, frame, ids[body], joints[seen].astype(np.float32))
