"""Positions: what the readers of own recordings bring in common."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Positions:
    """Bodies as a file has them: B records in any order, in the file's units and axes.

    Attributes:
        frames: the number of frames.
        frame: (B,) int64, the 0-based frame of each record.
        body: (B,) int64, whose record it is.
        xyz: (B, V, 3) float64, NaN where missing.
        line: (B,) int64, the 1-based line each record stands on or begins, 0 where the format has no lines.
    """

    frames: int
    frame: NDArray[np.int64]
    body: NDArray[np.int64]
    xyz: NDArray[np.float64]
    line: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64]) -> "Positions":
        """Return the records at some places, in their order."""
        parts = (self.frame[indices], self.body[indices], self.xyz[indices], self.line[indices])
        return Positions(self.frames, *parts)
