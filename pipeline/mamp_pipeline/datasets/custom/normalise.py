"""Brings recorded positions into the store's order, axes and units, and fills or refuses missing joints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.plausibility import find_implausible, measure_bodies
from mamp_pipeline.datasets.clips import RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.layout_files import CsvFiles, JsonFiles


@dataclass(frozen=True, slots=True)
class Positions:
    """Bodies as a file has them: B records in any order, in the file's units and axes.

    Attributes:
        frames: the number of frames.
        frame: (B,) int64, the 0-based frame of each record.
        body: (B,) int64, the body of each record.
        xyz: (B, V, 3) float64, NaN where missing.
        line: (B,) int64, the 1-based line on which each record begins; 0 if the format has no lines.
        label: the clip's label as the file has it; None where the layout does not say that it has one.
    """

    frames: int
    frame: NDArray[np.int64]
    body: NDArray[np.int64]
    xyz: NDArray[np.float64]
    line: NDArray[np.int64]
    label: str | None = None

    def take(self, indices: NDArray[np.int64]) -> "Positions":
        """Return the records of some indices, in their order."""
        parts = (self.frame[indices], self.body[indices], self.xyz[indices], self.line[indices])
        return Positions(self.frames, *parts, label=self.label)


REPEATED_FRAMES_REMEDY = (
    "`repeated_frames` in the layout's files says how to read such lines: `keep` each as a frame, or take the `first` "
    "or the `last`"
)


def fill_missing(positions: Positions, layout: Layout) -> NDArray[np.float64]:
    """Return positions without NaN, (B, V, 3).

    Args:
        positions: records in order of their frames, NaN in all three coordinates of a missing joint.
        layout: says what to do with a missing joint.

    Raises:
        RawFileError: a joint is missing and `missing` is `refuse`; the joint to centre on is missing in the first
            frame and would be put at the origin; or a joint to be held has no position in any frame.
    """
    gaps = np.isnan(positions.xyz[:, :, 0])
    if not gaps.any():
        return positions.xyz
    names, centre = layout.skeleton.joints, layout.skeleton.centre
    if layout.missing == "refuse":
        record, joint = (int(indices[0]) for indices in np.nonzero(gaps))
        remedy = "the layout's `missing` says what to do with such joints: zeros or hold"
        raise _missing_joint_error(positions, record, names[joint], remedy)
    if layout.missing == "zeros":
        if gaps[0, centre]:
            raise _missing_joint_error(positions, 0, names[centre], "clips are centred on it")
        return np.nan_to_num(positions.xyz, nan=0.0)
    filled = positions.xyz.copy()
    for body in np.unique(positions.body):
        records = positions.body == body
        filled[records] = _hold_last_positions(positions.xyz[records], gaps[records], names)
    return filled


def _missing_joint_error(positions: Positions, record: int, joint: str, why: str) -> RawFileError:
    reason = f"frame {positions.frame[record]}: joint '{joint}' has no position; {why}"
    return RawFileError(reason, line=int(positions.line[record]))


def _hold_last_positions(
    xyz: NDArray[np.float64], gaps: NDArray[np.bool_], names: tuple[str, ...]
) -> NDArray[np.float64]:
    """Fill the gaps of one body's joints with their last position, before the first with the first: (n, V, 3)."""
    never = np.flatnonzero(gaps.all(axis=0))
    if len(never):
        raise RawFileError(f"joint '{names[never[0]]}' of a body has no position in any frame, so none to hold")
    records = np.arange(len(xyz))[:, None]
    last = np.maximum.accumulate(np.where(gaps, -1, records), axis=0)
    held = np.where(last < 0, np.argmin(gaps, axis=0), last)
    return np.asarray(xyz[held, np.arange(xyz.shape[1])])


MAX_DISTANCE = 100.0
"""Metres from the origin beyond which a coordinate is not taken for a position: no depth camera sees half as far."""


def normalise(positions: Positions, layout: Layout) -> RawBodies:
    """Return the bodies of a file in frame order, in the layout's axes, in metres.

    A body is not in a frame in which all its joints are missing or zeros. If there are more bodies than the layout has
    slots, those that move most are kept, and the others are counted.

    Raises:
        RawFileError: a body is twice in a frame, a joint is missing and the layout does not allow it, the bodies
            cannot be persons in the layout's units, or a coordinate is too far away to be a position in metres.
    """
    positions.xyz[np.isnan(positions.xyz).any(axis=2)] = np.nan
    positions = positions.take(np.flatnonzero(np.nan_to_num(positions.xyz).any(axis=(1, 2))))
    positions = positions.take(np.argsort(positions.frame, kind="stable"))
    _reject_duplicate_bodies(positions, layout)
    _reject_implausible(positions, layout)
    _reject_distant(positions, layout)
    every = positions
    positions = _keep_most_moving(positions, layout.bodies)
    xyz = fill_missing(positions, layout)
    signs = [-1.0 if axis.startswith("-") else 1.0 for axis in layout.axes]
    order = ["xyz".index(axis.strip("-")) for axis in layout.axes]
    joints = (xyz[:, :, order] * signs / layout.metres_per_unit).astype(np.float32)
    return RawBodies(
        positions.frames,
        positions.frame,
        positions.body,
        joints,
        bodies_left=len(np.unique(every.body)) - len(np.unique(positions.body)),
        frames_left=len(np.unique(every.frame)) - len(np.unique(positions.frame)),
    )


def _reject_duplicate_bodies(positions: Positions, layout: Layout) -> None:
    order = np.lexsort((positions.body, positions.frame))
    frame, body = positions.frame[order], positions.body[order]
    twice = np.flatnonzero((frame[1:] == frame[:-1]) & (body[1:] == body[:-1]))
    if not len(twice):
        return
    first, second = order[twice[0]], order[twice[0] + 1]
    reason = f"frame {positions.frame[second]}: the same body a second time"
    if isinstance(layout.files, CsvFiles):
        same = "frame number or time stamp" + (" and body" if layout.files.body is not None else "")
        reason += f", with the {same} of line {positions.line[first]}; {REPEATED_FRAMES_REMEDY}"
    elif isinstance(layout.files, JsonFiles):
        reason += "; without `id` in the layout's files, a body is known by its position in the list"
    raise RawFileError(reason, line=int(positions.line[second]))


def _keep_most_moving(positions: Positions, bodies: int) -> Positions:
    """Keep the bodies with the largest variance of all joint positions, summed over xyz, as for NTU."""
    ids = np.unique(positions.body)
    if len(ids) <= bodies:
        return positions
    order = np.argsort(positions.body, kind="stable")  # the records of each body, one body after the other
    starts = np.searchsorted(positions.body[order], ids)
    motions = [
        np.nanvar(positions.xyz[records].reshape(-1, 3), axis=0).sum() for records in np.split(order, starts[1:])
    ]
    most = np.argsort(motions, kind="stable")[::-1][:bodies]
    return positions.take(np.flatnonzero(np.isin(positions.body, ids[most])))


def _reject_implausible(positions: Positions, layout: Layout) -> None:
    measures = measure_bodies(positions.xyz, layout.skeleton, layout.metres_per_unit)
    if measures and (reason := find_implausible(measures, layout)):
        raise RawFileError(reason)


def _reject_distant(positions: Positions, layout: Layout) -> None:
    far = np.abs(positions.xyz) > MAX_DISTANCE * layout.metres_per_unit
    if far.any():
        record, joint, axis = (int(indices[0]) for indices in np.nonzero(far))
        raise RawFileError(
            f"frame {positions.frame[record]}, joint '{layout.skeleton.joints[joint]}': a coordinate of "
            f"{positions.xyz[record, joint, axis]:g} {layout.units} is more than {MAX_DISTANCE:g} metres away; "
            "the units may be others, or the numbers pixels, which are no positions in space",
            line=int(positions.line[record]),
        )
