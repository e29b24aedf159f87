"""Movement: how a synthetic person of a class moves, on a standing Kinect body."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.skeleton import KINECT_V2

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
"""Joints a class may move; what hangs on them follows."""

_NUM_DRIVERS = 3
_MAX_SWING = 0.22
_MAX_POSTURE = 0.12
_SENSOR_NOISE = 0.004


@dataclass(frozen=True, slots=True)
class _MotionPattern:
    """What one role of a class does: per driver where it is held (K, 3), swings (K, 3), hertz and phase (K,)."""

    follows: NDArray[np.float64]
    posture: NDArray[np.float64]
    swing: NDArray[np.float64]
    hertz: NDArray[np.float64]
    phase: NDArray[np.float64]


def move_person(action: int, role: int, subject: int, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (T, V, 3) metres about a person's spine base, facing the camera.

    The movement is the class's; its size, tempo and phase vary a little from clip to clip, the body's height
    with the subject.

    Args:
        action: 1-based class.
        role: 0 for the acting person, 1 for the other.
        subject: whose body it is.
        frames: T.
        rng: draws what is the clip's own.
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
    """Return (V, V): 1 where the row's joint hangs on the column's, itself included."""
    count = len(KINECT_V2.parents)
    hangs = np.eye(count)
    for _ in range(count):
        hangs = np.maximum(hangs, hangs[list(KINECT_V2.parents)])
    return hangs
