"""What a layout makes of positions: bodies in the store's order, number, axes and units."""

import numpy as np

from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.custom.missing import fill_missing
from mamp_pipeline.raw.custom.positions import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout

MAX_DISTANCE = 100.0
"""Metres from the origin beyond which a position cannot be one: no depth camera sees half as far."""


def normalise(positions: Positions, layout: Layout) -> RawBodies:
    """Bring what a file holds into the order, number, axes and units of bodies in metres.

    A body of which no joint has a position in a frame, be it missing or zeros throughout, is not in that frame.
    Of more bodies than the layout has slots those that move most are kept.

    Raises:
        RawFileError: a body is twice in a frame, a joint is missing where the layout does not allow it, or a
            position cannot be one in metres.
    """
    positions.xyz[np.isnan(positions.xyz).any(axis=2)] = np.nan
    positions = positions.take(np.flatnonzero(np.nan_to_num(positions.xyz).any(axis=(1, 2))))
    positions = positions.take(np.argsort(positions.frame, kind="stable"))
    _reject_duplicate_bodies(positions)
    _reject_implausible(positions, layout)
    positions = _keep_most_moving(positions, layout.bodies)
    xyz = fill_missing(positions, layout)
    signs = [-1.0 if axis.startswith("-") else 1.0 for axis in layout.axes]
    places = ["xyz".index(axis.strip("-")) for axis in layout.axes]
    joints = (xyz[:, :, places] * signs / layout.metres_per_unit).astype(np.float32)
    return RawBodies(positions.frames, positions.frame, positions.body, joints)


def _reject_duplicate_bodies(positions: Positions) -> None:
    order = np.lexsort((positions.body, positions.frame))
    frame, body = positions.frame[order], positions.body[order]
    twice = np.flatnonzero((frame[1:] == frame[:-1]) & (body[1:] == body[:-1]))
    if len(twice):
        second = order[twice[0] + 1]
        raise RawFileError(f"frame {positions.frame[second]}: the same body a second time", line=int(positions.line[second]))


def _keep_most_moving(positions: Positions, bodies: int) -> Positions:
    """Keep so many bodies: those with the largest variance of all joint positions, summed over xyz, as NTU's rule."""
    ids = np.unique(positions.body)
    if len(ids) <= bodies:
        return positions
    motions = [np.nanvar(positions.xyz[positions.body == body].reshape(-1, 3), axis=0).sum() for body in ids]
    most = np.argsort(motions, kind="stable")[::-1][:bodies]
    return positions.take(np.flatnonzero(np.isin(positions.body, ids[most])))


def _reject_implausible(positions: Positions, layout: Layout) -> None:
    far = np.abs(positions.xyz) > MAX_DISTANCE * layout.metres_per_unit
    if far.any():
        record, joint, axis = (int(place[0]) for place in np.nonzero(far))
        raise RawFileError(
            f"frame {positions.frame[record]}, joint '{layout.skeleton.joints[joint]}': a coordinate of "
            f"{positions.xyz[record, joint, axis]:g} {layout.units} is more than {MAX_DISTANCE:g} metres away; the units "
            "may be others, or the numbers pixels, which are no positions in space",
            line=int(positions.line[record]),
        )
