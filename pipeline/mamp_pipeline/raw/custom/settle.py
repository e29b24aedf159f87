"""What a layout makes of positions: bodies in the store's order, number, axes and units."""

import numpy as np

from mamp_pipeline.raw.bodies import RawBodies
from mamp_pipeline.raw.custom.missing import fill_missing
from mamp_pipeline.raw.custom.positions import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout

FARTHEST = 100.0
"""Metres from the origin beyond which a position cannot be one: no depth camera sees half as far."""


def settle(found: Positions, layout: Layout) -> RawBodies:
    """Bring what a file holds into the order, number, axes and units of bodies in metres.

    A body of which no joint has a position in a frame, be it missing or zeros throughout, is not in that frame.
    Of more bodies than the layout has slots those that move most are kept.

    Raises:
        RawFileError: a body is twice in a frame, a joint is missing where the layout does not allow it, or a
            position cannot be one in metres.
    """
    found.xyz[np.isnan(found.xyz).any(axis=2)] = np.nan
    found = found.take(np.flatnonzero(np.nan_to_num(found.xyz).any(axis=(1, 2))))
    found = found.take(np.argsort(found.frame, kind="stable"))
    _refuse_doubles(found)
    _refuse_impossible(found, layout)
    found = _keep_most_moving(found, layout.bodies)
    xyz = fill_missing(found, layout)
    signs = [-1.0 if axis.startswith("-") else 1.0 for axis in layout.axes]
    places = ["xyz".index(axis.strip("-")) for axis in layout.axes]
    joints = (xyz[:, :, places] * signs / layout.scale).astype(np.float32)
    return RawBodies(found.frames, found.frame, found.body, joints)


def _refuse_doubles(found: Positions) -> None:
    order = np.lexsort((found.body, found.frame))
    frame, body = found.frame[order], found.body[order]
    twice = np.flatnonzero((frame[1:] == frame[:-1]) & (body[1:] == body[:-1]))
    if len(twice):
        second = order[twice[0] + 1]
        raise RawFileError(f"frame {found.frame[second]}: the same body a second time", line=int(found.line[second]))


def _keep_most_moving(found: Positions, bodies: int) -> Positions:
    """Keep so many bodies: those with the largest variance of all joint positions, summed over xyz, as NTU's rule."""
    ids = np.unique(found.body)
    if len(ids) <= bodies:
        return found
    motions = [np.nanvar(found.xyz[found.body == body].reshape(-1, 3), axis=0).sum() for body in ids]
    most = np.argsort(motions, kind="stable")[::-1][:bodies]
    return found.take(np.flatnonzero(np.isin(found.body, ids[most])))


def _refuse_impossible(found: Positions, layout: Layout) -> None:
    far = np.abs(found.xyz) > FARTHEST * layout.scale
    if far.any():
        record, joint, axis = (int(place[0]) for place in np.nonzero(far))
        raise RawFileError(
            f"frame {found.frame[record]}, joint '{layout.skeleton.joints[joint]}': a coordinate of "
            f"{found.xyz[record, joint, axis]:g} {layout.units} is more than {FARTHEST:g} metres away; the units "
            "may be others, or the numbers pixels, which are no positions in space",
            line=int(found.line[record]),
        )
