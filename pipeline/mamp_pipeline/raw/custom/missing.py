"""Joints without a position, treated as a layout says."""

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.custom.positions import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout


def fill_missing(positions: Positions, layout: Layout) -> NDArray[np.float64]:
    """Return positions without NaN, (B, V, 3).

    Args:
        found: records in order of their frames, NaN in all three coordinates of a missing joint.
        layout: says what becomes of a missing joint.

    Raises:
        RawFileError: a joint is missing and `missing` is `refuse`; the joint to centre on is missing in the first
            frame and would be put at the origin; or a joint to be held has no position in any frame.
    """
    gaps = np.isnan(positions.xyz[:, :, 0])
    if not gaps.any():
        return positions.xyz
    names, centre = layout.skeleton.joints, layout.skeleton.centre
    if layout.missing == "refuse":
        record, joint = (int(place[0]) for place in np.nonzero(gaps))
        remedy = "the layout's `missing` says what to do with such joints: zeros or hold"
        raise _missing_joint_error(positions, record, names[joint], remedy)
    if layout.missing == "zeros":
        if gaps[0, centre]:
            raise _missing_joint_error(positions, 0, names[centre], "clips are centred on it")
        return np.nan_to_num(positions.xyz, nan=0.0)
    filled = positions.xyz.copy()
    for body in np.unique(positions.body):
        own = positions.body == body
        filled[own] = _hold_last_positions(positions.xyz[own], gaps[own], names)
    return filled


def _missing_joint_error(positions: Positions, record: int, joint: str, why: str) -> RawFileError:
    reason = f"frame {positions.frame[record]}: joint '{joint}' has no position; {why}"
    return RawFileError(reason, line=int(positions.line[record]))


def _hold_last_positions(xyz: NDArray[np.float64], gaps: NDArray[np.bool_], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Repeat the last position of each joint of one body, before the first one the first: (n, V, 3)."""
    never = np.flatnonzero(gaps.all(axis=0))
    if len(never):
        raise RawFileError(f"joint '{names[never[0]]}' of a body has no position in any frame, so none to hold")
    records = np.arange(len(xyz))[:, None]
    last = np.maximum.accumulate(np.where(gaps, -1, records), axis=0)
    held = np.where(last < 0, np.argmin(gaps, axis=0), last)
    return np.asarray(xyz[held, np.arange(xyz.shape[1])])
