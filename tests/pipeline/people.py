"""A person for tests: the 20 joints of kinect_v1 of an adult of some 1.75 m who stands and moves a little."""

import numpy as np
from numpy.typing import NDArray

PERSON = np.array([
    [0, 0, 0], [0, 0.15, 0.02], [0, 0.52, 0.04], [0, 0.7, 0],
    [-0.18, 0.48, 0.05], [-0.25, 0.17, 0.07], [-0.27, -0.08, -0.02], [-0.28, -0.15, -0.05],
    [0.18, 0.48, 0.05], [0.25, 0.17, 0.07], [0.27, -0.08, -0.02], [0.28, -0.15, -0.05],
    [-0.1, -0.03, 0.01], [-0.12, -0.46, 0.02], [-0.13, -0.88, 0.08], [-0.14, -0.93, -0.05],
    [0.1, -0.03, 0.01], [0.12, -0.46, 0.02], [0.13, -0.88, 0.08], [0.14, -0.93, -0.05],
])  # fmt: skip
"""(20, 3) metres from the centre of the hips; x to the side, y up."""


def person(*, frames: int = 20, seed: int = 0, size: float = 1.0) -> NDArray[np.float64]:
    """Return a person in front of a camera, (frames, 20, 3) metres.

    Args:
        frames: T.
        seed: of the movement, some centimetres.
        size: a factor.
    """
    generator = np.random.default_rng(seed)
    moves = generator.normal(scale=0.01, size=(frames, *PERSON.shape))
    return size * (PERSON + moves) + [0.1, 0.1, 2.5]
