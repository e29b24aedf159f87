"""Small inputs that many tests need, as the bytes of raw files."""

from collections.abc import Sequence

import numpy as np

BODY_ID = 72057594037931101
ZERO_POINTS = (("0", "0", "0"),) * 25

_BODY_TAIL = "0 1 1 1 1 0 0.02764709 0.05745083 2"
_JOINT_TAIL = "277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"
# The tracker gives no orientation to the ends of limbs.
_LEAF_TAIL = "276 179.5003 1032.973 483.6055 0 0 0 0 1"
_LEAVES = {3, 15, 19, 21, 22, 23, 24}


def ntu_body(points: Sequence[Sequence[str]] = ZERO_POINTS, body_id: int = BODY_ID) -> list[str]:
    """Return the 27 lines of a body record from the spelled x y z of its 25 joints."""
    tails = (_LEAF_TAIL if joint in _LEAVES else _JOINT_TAIL for joint in range(len(points)))
    joints = [" ".join((*point, tail)) for point, tail in zip(points, tails, strict=True)]
    return [f"{body_id} {_BODY_TAIL}", str(len(joints)), *joints]


def ntu_text(frames: Sequence[Sequence[list[str]]], line_end: str = "\n") -> bytes:
    """Return an NTU file from the body records of each frame."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines += [str(len(bodies)), *(line for body in bodies for line in body)]
    return "".join(line + line_end for line in lines).encode()


def random_ntu_text(seed: int, frames: int, bodies: int = 1) -> bytes:
    """Return an NTU file of the usual look: 7 significant digits, bare zeros, some exponents."""
    rng = np.random.default_rng(seed)
    values = rng.normal((0.1, 0.2, 3.5), (0.4, 0.4, 0.2), (frames, bodies, 25, 3))
    values[rng.random(values.shape) < 0.002] *= 1e-5
    spelled = np.array([f"{value:.7G}" for value in values.ravel()]).reshape(values.shape)
    return ntu_text([[ntu_body(spelled[f, b].tolist(), BODY_ID + b) for b in range(bodies)] for f in range(frames)])
