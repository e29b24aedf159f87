"""Mutated recordings for the readers of raw files, each beside a plain reading of the same bytes.

A reader refuses a file with the house's error, or reads what the plain reading reads; it never gives other numbers.
"""

import csv
import io
import json
import random
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.custom.recordings import parse_recording
from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
from mamp_pipeline.datasets.ntu.parse import parse_ntu, parse_ntu_lines
from mamp_pipeline.datasets.nwucla import parse_nwucla
from mamp_pipeline.datasets.pku.video import parse_labels, parse_video
from mamp_schemas.errors import RawFileError
from tests.factories import random_ntu_text
from tests.mutations import mutate
from tests.pipeline.custom_cases import JOINTS, npy_bytes, stick_layout
from tests.pipeline.pku_cases import label_text, make_video, video_text

Joints = NDArray[np.float32]
WIDE = {"format": "csv", "frame": "frame", "coordinates": "{joint}_{axis}"}
LONG = {"format": "csv", "header": False, "frame": 0, "joint": 1, "coordinates": [2, 3, 4]}
LINES = {"format": "csv", "header": False, "delimiter": "whitespace", "joint_lines": True, "coordinates": [0, 1, 2]}
OBJECTS = {"format": "json", "frames": "frames", "unused": ["frames.score"]}
NPY = {"format": "npy", "order": "TVC"}
NUMBERS = np.random.default_rng(0).normal(size=(6, 3, 3)).round(3) + 1.5


def decode(data: bytes) -> str:
    marks = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    return data.decode(next((name for mark, name in marks if data.startswith(mark)), "utf-8-sig"))


def in_frame_order(frames: list[str], poses: list[list[float]]) -> Joints:
    order = sorted(range(len(frames)), key=lambda at: Decimal(frames[at]))
    return with_position(np.array([poses[at] for at in order], dtype=np.float64))


def with_position(values: NDArray[np.float64]) -> Joints:
    """Return the bodies that have a position; a point that lacks a coordinate is none."""
    joints = values.reshape(-1, 3, 3)
    joints[np.isnan(joints).any(axis=2)] = np.nan
    return joints[np.nan_to_num(joints).any(axis=(1, 2))].astype(np.float32)


def numbers(cells: list[str]) -> list[float]:
    return [float(cell) if cell.strip() not in ("", "null") else np.nan for cell in cells]


def plain_rows(data: bytes) -> list[list[str]]:
    reader = csv.reader(io.StringIO(decode(data), newline=""), skipinitialspace=True)
    return [row for row in reader if "".join(row).strip()]


def plain_wide(data: bytes) -> Joints:
    names, *rows = plain_rows(data)
    header = [name.strip().casefold() for name in names]
    words = ["".join(name.split()).translate(str.maketrans("", "", "_.-")) for name in header]
    columns = [
        header.index(f"{joint}_{axis}") if f"{joint}_{axis}" in header else words.index(joint + axis)
        for joint in JOINTS
        for axis in "xyz"
    ]
    frame = header.index("frame") if "frame" in header else words.index("frame")
    frames = [row[frame].strip() for row in rows]
    return in_frame_order(frames, [numbers([row[at] for at in columns]) for row in rows])


def plain_long(data: bytes) -> Joints:
    poses: dict[str, list[float]] = {}
    for row in plain_rows(data):
        joint = row[1].strip().casefold()
        at = JOINTS.index(joint) if joint in JOINTS else int(joint)
        frame = str(Decimal(row[0].strip()).normalize())
        poses.setdefault(frame, [np.nan] * 9)[3 * at : 3 * at + 3] = numbers(row[2:5])
    return in_frame_order(list(poses), list(poses.values()))


def plain_lines(data: bytes) -> Joints:
    values = [numbers(line.split()) for line in decode(data).splitlines() if line.strip()]
    return with_position(np.array(values, dtype=np.float64))


def plain_json(data: bytes) -> Joints:
    found = []
    for frame in json.loads(decode(data))["frames"]:
        if frame:
            if isinstance(frame, dict):
                frame = {name.casefold(): point for name, point in frame.items()} | frame
            points = [frame[joint] for joint in JOINTS] if isinstance(frame, dict) else frame
            found.append([[point[axis] for axis in "xyz"] if isinstance(point, dict) else point for point in points])
    return with_position(np.array(found, dtype=np.float64))


def plain_npy(data: bytes) -> Joints:
    return with_position(np.load(io.BytesIO(data), allow_pickle=False).astype(np.float64))


def plain_video(data: bytes) -> Joints:
    rows = [[float(field) for field in line.split()] for line in data.splitlines() if line.strip()]
    return np.array(rows).reshape(-1, 25, 3).astype(np.float32)


def read_own(files: dict[str, object]) -> Callable[[bytes], Joints]:
    layout = stick_layout(files, bodies=1)
    return lambda data: parse_recording(data, layout).joints


def read_both_ntu(data: bytes) -> Joints:
    compiled = parse_ntu_compiled(data)
    bodies: RawBodies = parse_ntu(data)
    assert compiled is not None
    assert compiled.joints.tobytes() == bodies.joints.tobytes()
    return bodies.joints


def read_video(data: bytes) -> Joints:
    parse_labels(data)
    return parse_video(data).reshape(-1, 25, 3).astype(np.float32)


class Case(NamedTuple):
    """A reader, a plain reading of the same bytes, and a whole file."""

    read: Callable[[bytes], Joints]
    plain: Callable[[bytes], Joints]
    whole: bytes


def _wide() -> bytes:
    header = ["frame", *(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")]
    rows = [[str(frame), *map(str, pose.ravel())] for frame, pose in enumerate(NUMBERS)]
    return "\r\n".join(",".join(row) for row in [header, *rows]).encode()


def _long() -> bytes:
    points = [(frame, joint, *point) for frame, pose in enumerate(NUMBERS) for joint, point in zip(JOINTS, pose)]  # noqa: B905
    return "\n".join(",".join(map(str, row)) for row in points).encode() + b"\n"


def _objects() -> bytes:
    named = [
        {joint: dict(zip("xyz", point, strict=True)) for joint, point in zip(JOINTS, pose.tolist(), strict=True)}
        for pose in NUMBERS
    ]
    return json.dumps({"frames": [*named, None, *NUMBERS.tolist(), {**named[0], "score": 1}]}, indent=1).encode()


def _nwucla() -> bytes:
    content = {"file_name": "a01_s01_e00_v01", "skeletons": np.ones((4, 20, 3)).tolist(), "label": 1}
    return json.dumps(content).encode()


CASES = {
    "csv_wide": Case(read_own(WIDE), plain_wide, _wide()),
    "csv_long": Case(read_own(LONG), plain_long, _long()),
    "csv_lines": Case(
        read_own(LINES), plain_lines, "\n".join(" ".join(map(str, p)) for p in NUMBERS.reshape(-1, 3)).encode()
    ),
    "json": Case(read_own(OBJECTS), plain_json, _objects()),
    "npy": Case(read_own(NPY), plain_npy, npy_bytes(NUMBERS)),
    "nwucla": Case(
        lambda data: parse_nwucla(data, "a01_s01_e00_v01")[1].joints,
        lambda data: np.array(json.loads(data)["skeletons"], dtype=np.float32).reshape(-1, 20, 3),
        _nwucla(),
    ),
    "ntu": Case(read_both_ntu, lambda data: parse_ntu_lines(data).joints, random_ntu_text(seed=1, frames=2)),
    "pku": Case(read_video, plain_video, video_text(make_video(2)) + b"\n" + label_text((1, 2, 3))[:0]),
}


def run(name: str, seed: int, count: int) -> None:
    """Read mutated files, and print how many were read and how many refused.

    Raises:
        AssertionError: a reader fails otherwise than with the house's error, or reads other numbers.
    """
    case, outcomes = CASES[name], {"read": 0, "refused": 0}
    assert case.read(case.whole).tobytes() == case.plain(case.whole).tobytes()
    for number in range(count):
        print(name, seed, number, file=sys.stderr)  # the last one is the one at fault
        data = mutate(case.whole, random.Random(f"{name} {seed} {number}"))
        try:
            joints = case.read(data)
        except RawFileError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert np.isfinite(joints).all(), (name, seed, number)
        assert joints.tobytes() == case.plain(data).tobytes(), (name, seed, number, data[:600])
    print(outcomes["read"], outcomes["refused"])
