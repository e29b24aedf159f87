"""Own recordings for tests: layouts of a stick figure, and its movement written in every format."""

import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.custom.recordings import parse_recording
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.layout import Layout

JOINTS = ("hip", "chest", "head")
STICK = {"name": "stick", "centre": "hip", "joints": {"hip": "hip", "chest": "hip", "head": "chest"}}
WIDE = {"format": "csv", "frame": "frame", "body": "body", "coordinates": "{joint}_{axis}"}
LONG = {"format": "csv", "frame": 0, "body": 1, "joint": 2, "coordinates": [3, 4, 5], "header": False}
NPY = {"format": "npy", "order": "MTVC"}
JSON = {"format": "json", "frames": "recording.frames", "bodies": "people", "id": "track", "joints": "pose.points"}
FILES: dict[str, dict[str, Any]] = {"wide": WIDE, "long": LONG, "npy": NPY, "json": JSON}

Track = dict[int, NDArray[np.float32]]
"""The positions of a body, (3, 3) float32 metres, by frame."""


def stick_layout(files: dict[str, Any], **changes: Any) -> Layout:
    data = {"name": "sticks", "skeleton": STICK, "units": "metres", "files": files, "bodies": 2, **changes}
    return parse_model_data(Layout, data, "layout sticks")


def parse(files: dict[str, Any], data: bytes, **changes: Any) -> RawBodies:
    return parse_recording(data, stick_layout(files, **changes))


def fault(files: dict[str, Any], data: bytes, **changes: Any) -> RawFileError:
    with pytest.raises(RawFileError) as caught:
        parse(files, data, **changes)
    return caught.value


def write(form: str, tracks: dict[int, Track], frames: int) -> bytes:
    """Write bodies, by id, in one of the formats of `FILES`."""
    return {"wide": write_wide, "long": write_long, "npy": write_npy, "json": write_json}[form](tracks, frames)


def write_wide(tracks: dict[int, Track], frames: int) -> bytes:
    lines = [",".join(["frame", "body", *(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")])]
    for frame in range(frames):
        for body, track in tracks.items():
            if frame in track:
                lines.append(",".join(map(repr, [frame, body, *track[frame].ravel().tolist()])))
    return "\n".join(lines).encode()


def write_long(tracks: dict[int, Track], frames: int) -> bytes:
    """Write joints in another order than the skeleton's, bodies after each other."""
    lines = [
        f"{frame},{body},{JOINTS[joint]}," + ",".join(map(repr, track[frame][joint].tolist()))
        for body, track in tracks.items()
        for frame in track
        for joint in (2, 0, 1)
    ]
    return "\r\n".join(lines).encode()


def write_npy(tracks: dict[int, Track], frames: int) -> bytes:
    array = np.full((len(tracks), frames, len(JOINTS), 3), np.nan, dtype=np.float32)
    for slot, track in enumerate(tracks.values()):
        for frame, xyz in track.items():
            array[slot, frame] = xyz
    return npy_bytes(array)


def npy_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write_json(tracks: dict[int, Track], frames: int) -> bytes:
    content = [
        {
            "people": [
                {"track": body, "pose": {"points": track[frame].tolist()}}
                for body, track in tracks.items()
                if frame in track
            ]
        }
        for frame in range(frames)
    ]
    return json.dumps({"recording": {"frames": content}}).encode()


def walk(frames: int, start: int = 0, step: float = 0.1, seed: int = 0) -> Track:
    """Return a body that walks along x."""
    pose = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
    return {start + k: pose + np.float32([step * k, 0, 0]) for k in range(frames)}
