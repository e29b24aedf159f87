"""What users do today: read a file's lines, split them, convert joint line by joint line.

Like the scripts in circulation, it converts a joint's position and its place in the colour image.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_lines(path: Path) -> list[np.ndarray]:
    """Return the (25, 3) joints of every body record of an NTU file, in file order."""
    with path.open() as file:
        lines = file.read().splitlines()
    at, records = 1, []
    for _ in range(int(lines[0])):
        bodies = int(lines[at])
        at += 1
        for _ in range(bodies):
            count = int(lines[at + 1])
            joints, colours = np.zeros((count, 3), dtype=np.float32), np.zeros((count, 2), dtype=np.float32)
            for joint in range(count):
                fields = lines[at + 2 + joint].split()
                joints[joint] = np.array(fields[:3], dtype=np.float32)
                colours[joint] = np.array(fields[5:7], dtype=np.float32)
            records.append(joints)
            at += 2 + count
    return records


def measure_rate(files: Sequence[Path]) -> float:
    """Return the megabytes of text a second that `read_lines` manages on one core."""
    size = sum(file.stat().st_size for file in files)
    started = time.perf_counter()
    for file in files:
        read_lines(file)
    return size / 1e6 / (time.perf_counter() - started)
