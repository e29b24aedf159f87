"""The compiled reader of NTU text: one pass over the bytes, no Python per line."""

from typing import Any

import numpy as np

from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.ntu_compile import cached_njit, inline_njit
from mamp_pipeline.raw.ntu_fields import BODY_FIELDS, MIN_BYTES_PER_BODY, JOINT_FIELDS, JOINTS, VALUES_PER_BODY, resolve_fields
from mamp_pipeline.raw.ntu_masks import BLOCK, prefetch_lines
from mamp_pipeline.raw.ntu_points import scan_number, scan_plain_point
from mamp_pipeline.raw.ntu_scan import find_field, scan_integer, scan_line

_MALFORMED = -1
_ODD_LINES = 256


@inline_njit
def _skip_line(text: Any, at: int, expected: int) -> int:
    """Return where the next line starts if there is a line at `at` and it has as many fields as expected."""
    if at >= text.size:
        return _MALFORMED
    prefetch_lines(text, at)
    fields, after = scan_line(text, at)
    return after if fields == expected else _MALFORMED


@inline_njit
def _read_leading(text: Any, at: int, fields: int) -> tuple[int, int]:
    """Return the integer that starts a line of so many fields, and where the next line starts."""
    after = _skip_line(text, at, fields)
    if after < 0:
        return 0, _MALFORMED
    value, good = scan_integer(text, at)
    return value, (after if good else _MALFORMED)


@inline_njit
def _read_joints(text: Any, at: int, joints: Any, record: int, odd: Any, count: int) -> tuple[int, int]:
    """Read a body's joint lines, noting those of odd form; return the next line and how many odd ones by now."""
    for slot in range(record * VALUES_PER_BODY, (record + 1) * VALUES_PER_BODY, 3):
        after = _skip_line(text, at, JOINT_FIELDS)
        if after < 0:
            return _MALFORMED, count
        if not scan_plain_point(text, at, joints, slot):
            if count < odd.shape[0]:
                odd[count, 0], odd[count, 1] = slot, at
            count += 1
        at = after
    return at, count


@cached_njit
def _parse_records(text: Any, frame: Any, body_id: Any, joints: Any, odd: Any) -> tuple[int, int, int, int]:
    """Return frames, records, joint lines of odd form and the end, which is -1 where a line is at fault."""
    records, count = 0, 0
    frames, at = _read_leading(text, 0, 1)
    if at < 0 or frames < 0:
        return frames, records, count, _MALFORMED
    for index in range(frames):
        bodies, at = _read_leading(text, at, 1)
        if at < 0 or bodies < 0:
            return frames, records, count, _MALFORMED
        for _ in range(bodies):
            frame[records] = index
            body_id[records], at = _read_leading(text, at, BODY_FIELDS)
            if at < 0:
                return frames, records, count, _MALFORMED
            declared, at = _read_leading(text, at, 1)
            if at < 0 or declared != JOINTS:
                return frames, records, count, _MALFORMED
            at, count = _read_joints(text, at, joints, records, odd, count)
            if at < 0:
                return frames, records, count, _MALFORMED
            records += 1
    return frames, records, count, at


@cached_njit
def _parse_odd_lines(text: Any, odd: Any, joints: Any, deferred: Any) -> int:
    """Read the joint lines of odd form; note the numbers left to Python and return how many there are."""
    count = 0
    for line in range(odd.shape[0]):
        slot, at = odd[line, 0], odd[line, 1]
        for index in range(slot, slot + 3):
            start, at = find_field(text, at)
            joints[index], exact = scan_number(text, start, at)
            if not exact:
                deferred[count, 0], deferred[count, 1], deferred[count, 2] = index, start, at
                count += 1
    return count


def parse_ntu_compiled(data: bytes) -> RawBodies | None:
    """Read NTU text; None where it is malformed."""
    if len(data) < BLOCK or not data.endswith(b"\n"):
        data += b"\n" * BLOCK
    text = np.frombuffer(data, np.uint8)
    room = len(data) // MIN_BYTES_PER_BODY + 2
    frame, body_id = np.empty(room, np.int64), np.empty(room, np.int64)
    joints = np.empty(room * VALUES_PER_BODY, np.float32)
    odd = np.empty((_ODD_LINES, 2), np.int64)
    frames, records, count, end = _parse_records(text, frame, body_id, joints, odd)
    if end < 0 or data[end:].strip():
        return None
    if count > len(odd):
        odd = np.empty((count, 2), np.int64)
        _parse_records(text, frame, body_id, joints, odd)
    if count and not _resolve_odd_lines(text, data, odd[:count], joints):
        return None
    for array, size in ((frame, records), (body_id, records), (joints, records * VALUES_PER_BODY)):
        array.resize(size, refcheck=False)
    return RawBodies(frames, frame, body_id, joints.reshape(records, JOINTS, 3))


def _resolve_odd_lines(text: Any, data: bytes, odd: Any, joints: Any) -> bool:
    """Read the joint lines of odd form and say whether all of their numbers are such."""
    deferred = np.empty((3 * len(odd), 3), np.int64)
    count = _parse_odd_lines(text, odd, joints, deferred)
    return resolve_fields(joints, deferred[:count].tolist(), data)
