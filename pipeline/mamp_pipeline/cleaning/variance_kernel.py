"""The compiled sum of variances, bit for bit as NumPy adds along the first of two axes."""

from typing import Any

import numpy as np

from mamp_pipeline.jit import cached_njit


@cached_njit
def sum_variances_compiled(points: Any) -> Any:
    """Return the sum of the variances of the columns of (n, 3) float32, equal to `sum_variances_numpy` bit for bit."""
    count = np.float32(len(points))
    x, y, z = np.float32(0), np.float32(0), np.float32(0)
    for row in range(len(points)):
        x += points[row, 0]
        y += points[row, 1]
        z += points[row, 2]
    mean_x, mean_y, mean_z = x / count, y / count, z / count
    x, y, z = np.float32(0), np.float32(0), np.float32(0)
    for row in range(len(points)):
        off_x, off_y, off_z = points[row, 0] - mean_x, points[row, 1] - mean_y, points[row, 2] - mean_z
        x += off_x * off_x
        y += off_y * off_y
        z += off_z * off_z
    return x / count + y / count + z / count
