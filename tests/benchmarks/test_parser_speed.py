"""How fast NTU text is read, on one core, against the loop that users' scripts run today."""

from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
from tests.factories import random_ntu_text

ROUNDS = 12
SIZES = (80, 100, 60, 140, 80, 120, 90, 70, 110, 80, 50, 100)
LEAST_RATIO = 45.0


def read_as_scripts_do(data: bytes) -> NDArray[np.float32]:
    """Read all lines; split and convert each joint line: x y z alone, the colours that scripts read too left out."""
    lines = TextIOWrapper(BytesIO(data), "ascii").readlines()
    bodies: list[NDArray[np.float32]] = []
    at = 1
    for _ in range(int(lines[0].strip("\r\n"))):
        declared = int(lines[at].strip("\r\n"))
        at += 1
        for _ in range(declared):
            lines[at].strip("\r\n").split()[0]
            joints = np.zeros((int(lines[at + 1].strip("\r\n")), 3), np.float32)
            at += 2
            for joint in range(len(joints)):
                fields = lines[at].strip("\r\n").split()
                joints[joint, :] = np.array(fields[:3], dtype=np.float32)
                at += 1
            bodies.append(joints)
    return np.array(bodies)


def best_seconds(read: Callable[[bytes], object], text: bytes) -> float:
    """Time two calls and return the shorter: the second finds the text where reading a file would have put it."""
    times = []
    for _ in range(2):
        start = perf_counter()
        read(text)
        times.append(perf_counter() - start)
    return min(times)


@pytest.mark.benchmark
def test_read__times_faster_than_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [random_ntu_text(seed, frames) for seed, frames in enumerate(SIZES)]
    readers: dict[str, Callable[[bytes], object]] = {
        "scripts": read_as_scripts_do,
        "compiled": parse_ntu_compiled,
    }
    best = {name: [float("inf")] * len(texts) for name in readers}
    for _ in range(ROUNDS):
        for place, text in enumerate(texts):
            for name, read in readers.items():
                best[name][place] = min(best[name][place], best_seconds(read, text))
    size = sum(map(len, texts)) / 1e6
    rates = {name: size / sum(times) for name, times in best.items()}
    with capsys.disabled():
        print(f"\n{len(texts)} files, {size:.1f} MB of text")
        for name, rate in rates.items():
            print(f"  {name:8} {rate:8.0f} MB/s {rate / rates['scripts']:7.1f} ×")
    assert rates["compiled"] >= LEAST_RATIO * rates["scripts"]


@pytest.mark.benchmark
def test_read__no_float_differs() -> None:
    for seed, frames in enumerate(SIZES):
        text = random_ntu_text(seed, frames)
        lines = [line.split() for line in text.decode().splitlines()]
        expected = np.array([np.float32(float(value)) for line in lines if len(line) == 12 for value in line[:3]])
        bodies = parse_ntu_compiled(text)
        assert bodies is not None
        assert np.count_nonzero(bodies.joints.ravel().view(np.uint32) != expected.view(np.uint32)) == 0
