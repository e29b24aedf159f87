"""Scenes: synthetic people before the camera, and what a tracker makes of them: gaps, losses, phantoms."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies
from mamp_pipeline.synth.movement import move_person

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
    """Return a clip's bodies as a Kinect would record them: one or two people, now and then a phantom.

    Args:
        info: the clip's class, subject and camera.
        rng: draws all that is the clip's own.
    """
    frames = int(rng.integers(_FRAMES[0], _FRAMES[1] + 1))
    bodies = [(joints, _tracked_frames(frames, rng)) for joints in _place_people(info, frames, rng)]
    if rng.random() < _PHANTOM_CHANCE:
        bodies.append(_make_phantom(frames, rng))
    return _to_raw_bodies(frames, bodies, rng)


def _place_people(info: ClipInfo, frames: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Return people 3 m before the camera: one at the centre of the scene, two face to face across it."""
    action = info.label + 1
    place = np.random.default_rng([info.subject, 2]).uniform((-0.3, -0.25, 2.8), (0.3, 0.05, 3.4))
    view = _CAMERA_YAW[info.camera]
    if action not in TWO_PERSON_ACTIONS:
        return [_rotate_yaw(move_person(action, 0, info.subject, frames, rng), view) + place]
    aside = np.array((0.45, 0, 0))
    left = _rotate_yaw(move_person(action, 0, info.subject, frames, rng), np.pi / 3) - aside
    right = _rotate_yaw(move_person(action, 1, info.subject, frames, rng), -np.pi / 3) + aside
    return [_rotate_yaw(left, view) + place, _rotate_yaw(right, view) + place]


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
