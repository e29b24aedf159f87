"""Own recordings as JSON, a list of frames, of bodies, of joints."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from mamp_pipeline.datasets.custom.normalise import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout import JsonFiles
from mamp_schemas.models.skeleton import Skeleton

_MISSING = (None, None, None)


def parse_json(data: bytes, files: JsonFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; messages give locations as dotted keys with 0-based numbers.

    Raises:
        RawFileError: not JSON, a key or joint that is not there, a point that is not three numbers.
    """
    frames = _look_up(_decode(data), files.frames, "")
    if not isinstance(frames, list):
        raise RawFileError(f"{files.frames or 'top level'}: expected the list of frames, got {_json_type(frames)}")
    known: dict[object, int] = {}
    frame, body, points = [], [], []
    for number, content in enumerate(frames):
        for key, joints, location in _bodies(content, files, _join_keys(files.frames, str(number))):
            frame.append(number)
            body.append(known.setdefault(key, len(known)))
            points.append(np.array(_points(joints, skeleton.joints, location), dtype=np.float64))
    return Positions(
        frames=len(frames),
        frame=np.array(frame, dtype=np.int64),
        body=np.array(body, dtype=np.int64),
        xyz=np.array(points, dtype=np.float64).reshape(len(points), len(skeleton.joints), 3),
        line=np.zeros(len(points), dtype=np.int64),
    )


def _decode(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as problem:
        raise RawFileError(f"not valid JSON: {problem.msg} at column {problem.colno}", line=problem.lineno) from None
    except UnicodeDecodeError as problem:
        raise RawFileError(f"not UTF-8 text: {problem.reason} at byte {problem.start}") from None
    except (ValueError, RecursionError) as problem:
        raise RawFileError(f"JSON that cannot be read: {problem}") from None


def _bodies(content: Any, files: JsonFiles, location: str) -> Iterator[tuple[object, Any, str]]:
    """Yield the id, the joints and the location of every body in a frame; bodies without joints are left out."""
    if content is None:
        return
    if files.bodies is None:
        bodies, locations = [content], [location]
    else:
        value = _look_up(content, files.bodies, location)
        location = _join_keys(location, files.bodies)
        bodies = [] if value is None else value
        if not isinstance(bodies, list):
            raise RawFileError(f"{location}: expected the list of bodies, got {_json_type(bodies)}")
        locations = [_join_keys(location, str(number)) for number in range(len(bodies))]
    for number, (body, where) in enumerate(zip(bodies, locations, strict=True)):
        joints = None if body is None else _look_up(body, files.joints, where)
        if joints not in (None, [], {}):
            yield _body_id(body, files.id, where, number), joints, _join_keys(where, files.joints)


def _body_id(body: Any, key: str | None, location: str, number: int) -> object:
    if key is None:
        return number
    value = _look_up(body, key, location)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise RawFileError(
            f"{_join_keys(location, key)}: expected a body's id, a whole number or text, got {_json_type(value)}"
        )
    return value


def _points(joints: Any, names: tuple[str, ...], location: str) -> list[list[float]]:
    if isinstance(joints, dict):
        unknown = [name for name in joints if name not in names]
        if unknown:
            raise RawFileError(f"{location}: '{unknown[0]}' is no joint of the layout")
        return [_point(joints.get(name, _MISSING), f"{location}.{name}") for name in names]
    if not isinstance(joints, list):
        raise RawFileError(f"{location or 'top level'}: expected joints, a list or an object, got {_json_type(joints)}")
    if len(joints) != len(names):
        raise RawFileError(f"{location}: {len(joints)} joints, expected {len(names)}")
    return [_point(joint, f"{location}.{number}") for number, joint in enumerate(joints)]


def _point(point: Any, location: str) -> list[float]:
    if point is None:
        point = _MISSING
    elif isinstance(point, dict):
        lacking = [axis for axis in "xyz" if axis not in point]
        if lacking:
            raise RawFileError(f"{location}: no {lacking[0]}; a joint needs x, y and z, its position in space")
        point = [point[axis] for axis in "xyz"]
    elif not isinstance(point, list):
        raise RawFileError(f"{location}: expected a point, [x, y, z] or an object, got {_json_type(point)}")
    if len(point) != 3:
        reason = "; positions in space need x, y and z: lift them to 3D first" if len(point) == 2 else ", expected 3"
        raise RawFileError(f"{location}: {len(point)} coordinates{reason}")
    return [_number(value, location) for value in point]


def _number(value: Any, location: str) -> float:
    if value is None:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RawFileError(f"{location}: expected a number, got {_json_type(value)}")
    try:
        return float(value)
    except OverflowError:
        raise RawFileError(f"{location}: the number is too large") from None


def _look_up(content: Any, path: str, location: str) -> Any:
    for key in path.split(".") if path else ():
        if not isinstance(content, dict) or key not in content:
            raise RawFileError(f"{location or 'top level'}: no key '{key}' (looked for {path})")
        content = content[key]
        location = _join_keys(location, key)
    return content


def _join_keys(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _json_type(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
