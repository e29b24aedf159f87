"""Joints without a position, treated as a layout says."""

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout


def fill_missing(
    xyz: NDArray[np.float64],
    frame: NDArray[np.int64],
    body: NDArray[np.int64],
    line: NDArray[np.int64],
    layout: Layout,
) -> NDArray[np.float64]:
    """Return positions without NaN.

    Args:
        xyz: (B, V, 3), NaN in all three coordinates of a missing joint; records in order of their frames.
        frame: (B,) of each record.
        body: (B,) whose each record is.
        line: (B,) where each record stands in the file, 0 where there are no lines.
        layout: says what becomes of a missing joint.

    Raises:
        RawFileError: a joint is missing and `missing` is `refuse`; the joint to centre on is missing in the first
            frame and would be put at the origin; or a joint to be held has no position in any frame.
    """
    gaps = np.isnan(xyz[:, :, 0])
    if not gaps.any():
        return xyz
    names, centre = layout.skeleton.joints, layout.skeleton.centre
    if layout.missing == "refuse":
        record, joint = (int(place[0]) for place in np.nonzero(gaps))
        raise RawFileError(
            f"frame {frame[record]}: joint '{names[joint]}' has no position; the layout's `missing` says what to do "
            "with such joints: zeros or hold",
            line=int(line[record]),
        )
    if layout.missing == "zeros":
        if gaps[0, centre]:
            raise RawFileError(
                f"frame {frame[0]}: '{names[centre]}', which clips are centred on, has no position", line=int(line[0])
            )
        return np.nan_to_num(xyz, nan=0.0)
    filled = xyz.copy()
    for one in np.unique(body):
        filled[body == one] = _hold(xyz[body == one], gaps[body == one], names)
    return filled


def _hold(xyz: NDArray[np.float64], gaps: NDArray[np.bool_], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Repeat the last position of each joint of one body, before the first one the first: (n, V, 3)."""
    never = np.flatnonzero(gaps.all(axis=0))
    if len(never):
        raise RawFileError(f"joint '{names[never[0]]}' of a body has no position in any frame, so none to hold")
    records = np.arange(len(xyz))[:, None]
    last = np.maximum.accumulate(np.where(gaps, -1, records), axis=0)
    held = np.where(last < 0, np.argmin(gaps, axis=0), last)
    return np.asarray(xyz[held, np.arange(xyz.shape[1])])
