"""Reference.md §2 once more, frame by frame and body by body, to hold the vectorised cleaning against."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import RawBodies

Rows = NDArray[np.float32]


class CannotCleanError(Exception):
    """The published procedure fails on this file."""


def clean_naively(raw: RawBodies, centre: int) -> Rows:
    """Return (T, V·3) or (T, 2·V·3) centred rows."""
    width = raw.joints[0].size if len(raw.joints) else 0
    bodies, frames = _collect(raw)
    several = len(bodies) > 1
    order = _select(bodies) if several else list(bodies)
    rows = _assign([bodies[key] for key in order], frames, width)
    if several:
        rows = np.array([row for row in rows if row.sum() != 0], dtype=np.float32)
    return _move_origin(rows, width, centre)


def _collect(raw: RawBodies) -> tuple[dict[int, tuple[list[int], list[Rows]]], int]:
    bodies: dict[int, tuple[list[int], list[Rows]]] = {}
    present = sorted(set(raw.frame.tolist()))
    if not present:
        raise CannotCleanError
    for frame, body_id, joints in zip(raw.frame.tolist(), raw.body_id.tolist(), raw.joints, strict=True):
        if body_id in bodies:
            places, frames = bodies[body_id]
            places.append(places[-1] + 1)
            frames.append(joints)
        else:
            bodies[body_id] = ([present.index(frame)], [joints])
    return bodies, len(present)


def _select(bodies: dict[int, tuple[list[int], list[Rows]]]) -> list[int]:
    left = [key for key, (places, _) in bodies.items() if len(places) > 11]
    if len(left) == 1:
        return left
    motion = {key: _spread(bodies[key][1]) for key in left}
    for key in list(left):
        if len(left) == 1:
            break
        frames = bodies[key][1]
        good = [f for f in frames if np.ptp(f[:, 0]) <= np.float32(0.8) * np.ptp(f[:, 1])]
        if (len(frames) - len(good)) / len(frames) >= 0.69754:
            left.remove(key)
        elif len(good) < len(frames):
            motion[key] = min(motion[key], _spread(good))
    if not left:
        raise CannotCleanError
    return sorted(left, key=lambda key: -motion[key])


def _spread(frames: list[Rows]) -> np.float32:
    return np.float32(np.var(np.concatenate(frames), axis=0).sum())


def _assign(bodies: list[tuple[list[int], list[Rows]]], frames: int, width: int) -> Rows:
    rows = np.zeros((frames, width * min(2, len(bodies))), dtype=np.float32)
    spans = [[bodies[0][0][0], bodies[0][0][-1]], [0, 0]]
    for number, (places, body) in enumerate(bodies):
        for slot in (0, 1):
            span = spans[slot]
            if number == 0 or min(span[1], places[-1]) - max(span[0], places[0]) <= 0:
                if places[-1] >= frames:
                    raise CannotCleanError
                for place, joints in zip(places, body, strict=True):
                    rows[place, slot * width : (slot + 1) * width] = joints.ravel()
                span[:] = [min(span[0], places[0]), max(span[1], places[-1])]
                break
    return rows


def _move_origin(rows: Rows, width: int, centre: int) -> Rows:
    lit = [row for row in rows if np.any(row[:width] != 0)]
    if not lit:
        raise CannotCleanError
    origin = lit[0][3 * centre : 3 * centre + 3].copy()
    moved = np.empty_like(rows)
    for frame, row in enumerate(rows):
        moved[frame] = row - np.tile(origin, len(row) // 3)
        for slot in range(len(row) // width):
            part = slice(slot * width, (slot + 1) * width)
            if len(row) > width and row[part].sum() == 0:
                moved[frame, part] = 0
    return moved
