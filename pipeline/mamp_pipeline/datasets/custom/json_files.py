"""Own recordings as JSON, a list of frames, of bodies, of joints."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mamp_pipeline.cleaning.plausibility import ONLY_3D
from mamp_pipeline.datasets.custom.normalise import Positions
from mamp_pipeline.datasets.io.number_text import decode_text, reject_large_json
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout_files import JsonFiles
from mamp_schemas.models.plain_data import unique_keys
from mamp_schemas.models.skeleton import Skeleton

_MISSING = [np.nan, np.nan, np.nan]

_FEW = 12
"""So many keys are named one by one in a remedy."""

_MAX_REMEMBERED = 1_000
"""Objects of so many forms are remembered, so that their keys are looked at once."""


def parse_json(data: bytes, files: JsonFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; messages give locations as dotted keys with 0-based numbers.

    Raises:
        RawFileError: not JSON, a key or joint that is not there or not accounted for, a point that is not three
            numbers.
    """
    reader = _Reader(files, skeleton)
    content = _decode(data)
    frames = reader.look_up(content, files.frames, _TOP)
    if not isinstance(frames, list):
        hint = _name_keys("frames", files.frames, frames, list)
        raise RawFileError(
            f"{files.frames or 'top level'}: expected the list of frames, got {_json_type(frames)}{hint}"
        )
    known: dict[object, int] = {}
    frame, body, points = [], [], []
    for number, item in enumerate(frames):
        for key, joints, where in reader.bodies(item, _TOP.joined(files.frames).item(number)):
            frame.append(number)
            body.append(known.setdefault(key, len(known)))
            points.append(np.array(reader.points(joints, where), dtype=np.float64))
    label = None if files.label is None else reader.label(content)
    reader.reject_unknown()
    return Positions(
        frames=len(frames),
        frame=np.array(frame, dtype=np.int64),
        body=np.array(body, dtype=np.int64),
        xyz=np.array(points, dtype=np.float64).reshape(len(points), len(skeleton.joints), 3),
        line=np.zeros(len(points), dtype=np.int64),
        label=label,
    )


def _decode(data: bytes) -> Any:
    text = decode_text(data)
    reject_large_json(text)
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as problem:
        raise RawFileError(f"not valid JSON: {problem.msg} at column {problem.colno}", line=problem.lineno) from None
    except (ValueError, RecursionError) as problem:
        raise RawFileError(f"JSON that cannot be read: {problem}") from None


class _Where(NamedTuple):
    """Where a value is in a file.

    Attributes:
        keys: the keys from the top on, joined by dots, as layouts name them.
        location: the same with the numbers in lists, for messages.
    """

    keys: str
    location: str

    def joined(self, path: str) -> "_Where":
        return _Where(_join_keys(self.keys, path), _join_keys(self.location, path)) if path else self

    def item(self, number: int) -> "_Where":
        return _Where(self.keys, f"{self.location}.{number}" if self.location else str(number))

    def __str__(self) -> str:
        return self.location or "top level"


_TOP = _Where("", "")


class _Reader:
    """Reads the values that a layout names, and accounts for the keys beside them."""

    def __init__(self, files: JsonFiles, skeleton: Skeleton) -> None:
        self._files = files
        self._joints = skeleton.joints
        self._known_joints = frozenset(skeleton.joints)
        by_case = {name.casefold(): name for name in skeleton.joints}
        self._by_case = by_case if len(by_case) == len(skeleton.joints) else {}
        order, self._per_joint = files.joint_order or skeleton.joints, files.per_joint or ("x", "y", "z")
        self._listed = len(order)
        self._joint_indices = [order.index(name) for name in skeleton.joints]
        self._axis_indices = [self._per_joint.index(axis) for axis in "xyz"]
        frames, bodies = files.frames, files.bodies
        body = _join_keys(frames, bodies or "")
        paths = [frames, body, _join_keys(body, files.joints), files.label or ""]
        if files.id is not None:
            paths.append(_join_keys(body, files.id))
        self._used = {".".join(path.split(".")[: depth + 1]) for path in paths for depth in range(path.count(".") + 1)}
        self._unknown: dict[str, str] = {}
        self._accounted: set[tuple[str, tuple[str, ...]]] = set()

    def account(self, content: dict[str, Any], where: _Where, also: Iterable[str] = ()) -> None:
        """Note the keys of an object that are neither used, here or by a path of the layout, nor named as unused."""
        keys = (where.keys, tuple(content))
        if keys in self._accounted:
            return
        for key in content:
            path = _join_keys(where.keys, key)
            if key not in also and path not in self._used and not self._files.leaves(path):
                self._unknown.setdefault(path, str(where))
        if len(self._unknown) > _MAX_REMEMBERED:
            self.reject_unknown()
        if len(self._accounted) < _MAX_REMEMBERED:
            self._accounted.add(keys)

    def reject_unknown(self) -> None:
        """Refuse the file if it has keys that are not accounted for.

        Raises:
            RawFileError: it has; names them all, and the place of the first.
        """
        if not self._unknown:
            return
        paths, where = list(self._unknown), next(iter(self._unknown.values()))
        names = ", ".join(f"'{path[:80]}'" for path in paths[:_FEW])
        more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
        remedy = json.dumps(paths, ensure_ascii=False) if len(paths) <= _FEW else "rest"
        raise RawFileError(
            f"{where}: the layout does not use {names}{more}; to leave {'it' if len(paths) == 1 else 'them'}: "
            f"`unused: {remedy}` in the layout's files"
        )

    def look_up(self, content: Any, path: str, where: _Where) -> Any:
        """Return the value at a path of keys."""
        for key in path.split(".") if path else ():
            if not isinstance(content, dict) or key not in content:
                raise RawFileError(f"{where}: no key '{key}' (looked for {path})")
            self.account(content, where)
            content = content[key]
            where = where.joined(key)
        return content

    def label(self, content: Any) -> str:
        """Return the clip's label."""
        path = self._files.label or ""
        value = self.look_up(content, path, _TOP)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RawFileError(f"{path}: expected the clip's label, text or a whole number, got {_json_type(value)}")
        return str(value)

    def bodies(self, content: Any, where: _Where) -> Iterator[tuple[object, Any, _Where]]:
        """Yield the id, the joints and the place of every body in a frame; bodies without joints are left out."""
        if content is None:
            return
        bodies, places = [content], [where]
        if self._files.bodies is not None:
            bodies = self.look_up(content, self._files.bodies, where)
            where = where.joined(self._files.bodies)
            bodies = [] if bodies is None else bodies
            if not isinstance(bodies, list):
                raise RawFileError(f"{where}: expected the list of bodies, got {_json_type(bodies)}")
            places = [where.item(number) for number in range(len(bodies))]
        for number, (body, place) in enumerate(zip(bodies, places, strict=True)):
            joints = None if body is None else self.look_up(body, self._files.joints, place)
            if joints not in (None, [], {}):
                yield self._body_id(body, place, number), joints, place.joined(self._files.joints)

    def _body_id(self, body: Any, where: _Where, number: int) -> object:
        key = self._files.id
        if key is None:
            return number
        value = self.look_up(body, key, where)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RawFileError(
                f"{where.joined(key)}: expected a body's id, a whole number or text, got {_json_type(value)}"
            )
        return str(value)  # trackers write 1 and "1" in one file

    def points(self, joints: Any, where: _Where) -> list[list[float]]:
        """Return the points of a body in the skeleton's order."""
        if isinstance(joints, dict):
            if not self._known_joints <= joints.keys():
                joints = self._rename_joints(joints, where)
            self.account(joints, where, self._known_joints)
            return [self._point(joints.get(name), where.joined(name)) for name in self._joints]
        if not isinstance(joints, list):
            raise RawFileError(f"{where}: expected joints, a list or an object, got {_json_type(joints)}")
        if len(joints) != self._listed:
            hint = "; `joint_order` in the layout's files names all joints, to leave some"
            if self._files.bodies is None and all(isinstance(item, list) and len(item) > 4 for item in joints):
                hint = '; a list of bodies, each a list of joints, is read by `bodies: ""` in the layout\'s files'
            elif len(joints) < self._listed:
                hint = ""
            raise RawFileError(f"{where}: {len(joints)} joints, expected {self._listed}{hint}")
        points = [self._point(joint, where.item(number)) for number, joint in enumerate(joints)]
        return [points[index] for index in self._joint_indices]

    def _rename_joints(self, joints: dict[str, Any], where: _Where) -> dict[str, Any]:
        """Give joints that are written in another case the skeleton's names; refuse an object without any joint."""
        named = {
            key if key in self._known_joints else self._by_case.get(key.casefold(), key): joints[key] for key in joints
        }
        if len(named) < len(joints):
            raise RawFileError(f"{where}: joints whose names differ only in case")
        if joints and self._known_joints.isdisjoint(named):
            keys = ", ".join(f"'{key[:40]}'" for key in list(joints)[:_FEW])
            hint = _name_keys("joints", self._files.joints, joints, (list, dict))
            raise RawFileError(
                f"{where}: no joint of the skeleton ({', '.join(self._joints[:3])}, …) among {keys}{hint}"
            )
        return named

    def _point(self, point: Any, where: _Where) -> list[float]:
        if point is None:
            return _MISSING
        if isinstance(point, dict):
            lacking = [axis for axis in "xyz" if axis not in point]
            if lacking:
                reason = f": {ONLY_3D}" if lacking == ["z"] else "; a joint needs x, y and z, its position in space"
                raise RawFileError(f"{where}: no {lacking[0]}{reason}")
            self.account(point, where, "xyz")
            return [_number(point[axis], where) for axis in "xyz"]
        if not isinstance(point, list):
            raise RawFileError(f"{where}: expected a point, [x, y, z] or an object, got {_json_type(point)}")
        expected = len(self._per_joint)
        if len(point) != expected:
            reason = f", expected {expected}"
            if len(point) == 2:
                reason = f": {ONLY_3D}"
            elif len(point) > expected:
                reason += "; `per_joint` in the layout's files names the numbers of a joint, to leave some"
            raise RawFileError(f"{where}: {len(point)} coordinates{reason}")
        return [_number(point[index], where) for index in self._axis_indices]


def _number(value: Any, where: _Where) -> float:
    if value is None:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RawFileError(f"{where}: expected a number, got {_json_type(value)}")
    try:
        return float(value)
    except OverflowError:
        raise RawFileError(f"{where}: the number is too large") from None


def _name_keys(key: str, path: str, content: Any, kinds: type | tuple[type, ...]) -> str:
    """Return how a layout's key names what is one level below a path, where something of such a kind is there."""
    below = [name for name, value in content.items() if isinstance(value, kinds)] if isinstance(content, dict) else []
    choices = " or ".join(f"`{key}: {_join_keys(path, name[:40])}`" for name in below[:3])
    return f"; {choices} in the layout's files says where they are" if below else ""


def _join_keys(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _json_type(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
