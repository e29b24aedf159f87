"""Own recordings as npy, one array a file."""

import io
import math
import warnings
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mamp_pipeline.cleaning.plausibility import ONLY_3D
from mamp_pipeline.datasets.custom.normalise import Positions
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.layout_files import ArrayFiles, NpyFiles
from mamp_schemas.models.skeleton import Skeleton

_MAX_AXES = 32
"""Axes that every numpy can hold; recordings have four at most."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def parse_npy(data: bytes, files: NpyFiles, skeleton: Skeleton) -> Positions:
    """Parse one file; a body is known by its index along M.

    Raises:
        RawFileError: not an npy array of numbers, cut short, or not of the shape that layout and skeleton say.
    """
    return take_positions(_read_array(data), files, skeleton)


def take_positions(array: NDArray[np.generic], files: ArrayFiles, skeleton: Skeleton) -> Positions:
    """Return the positions in an array of numbers; a body is known by its index along M.

    Raises:
        RawFileError: the array is not of the shape that layout and skeleton say.
    """
    if array.ndim != len(files.order):
        raise RawFileError(f"an array of shape {array.shape}, expected one axis for each letter of {files.order}")
    one_body = "M" not in files.order
    letters = f"M{files.order}" if one_body else files.order
    xyz_TMVC = (array[None] if one_body else array).transpose([letters.index(letter) for letter in "TMVC"])
    frames, bodies, joints, coordinates = xyz_TMVC.shape
    order, per_joint = files.joint_order or skeleton.joints, files.per_joint or ("x", "y", "z")
    if coordinates == 2:
        raise RawFileError(f"joints have 2 coordinates: {ONLY_3D}")
    if (joints, coordinates) != (len(order), len(per_joint)):
        raise RawFileError(
            f"shape {array.shape} read as {files.order} has {joints} joints of {coordinates} coordinates, "
            f"expected {len(order)} ({skeleton.name}) of {len(per_joint)}{_hint(joints, coordinates, order, per_joint)}"
        )
    xyz_TMVC = xyz_TMVC[:, :, [order.index(joint) for joint in skeleton.joints]]
    xyz_TMVC = xyz_TMVC[..., [per_joint.index(axis) for axis in "xyz"]]
    joints, coordinates = len(skeleton.joints), 3
    with np.errstate(all="ignore"):  # numbers beyond float64 become infinite, and are refused as such
        xyz = xyz_TMVC.reshape(frames * bodies, joints, 3).astype(np.float64)
    return Positions(
        frames=frames,
        frame=np.repeat(np.arange(frames, dtype=np.int64), bodies),
        body=np.tile(np.arange(bodies, dtype=np.int64), frames),
        xyz=xyz,
        line=np.zeros(frames * bodies, dtype=np.int64),
    )


def _hint(joints: int, coordinates: int, order: tuple[str, ...], per_joint: tuple[str, ...]) -> str:
    """Return which keys of a layout read arrays with more joints or more numbers for each."""
    if joints == len(order) and coordinates > len(per_joint):
        return "; `per_joint` in the layout's files names the numbers of a joint, to leave those besides x, y and z"
    if joints > len(order) and coordinates == len(per_joint):
        return "; `joint_order` in the layout's files names all joints of the array, to leave some"
    return ""


def _read_array(data: bytes) -> NDArray[np.generic]:
    """Read the array as a view of the bytes: a false header cannot make it allocate memory."""
    if data.startswith(b"PK"):
        raise RawFileError("not an npy file but an archive, such as npz: save the array alone, with numpy.save")
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2 are read too
            version = npy.read_magic(file)
            if version not in _HEADERS:
                raise RawFileError(f"npy format version {version[0]}.{version[1]}, expected 1.0 or 2.0")
            shape, fortran, dtype = _HEADERS[version](file)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError, OverflowError) as problem:
        raise RawFileError(f"not an npy file ({str(problem).splitlines()[0] if str(problem) else problem!r})") from None
    if dtype.kind not in "fiu":
        raise RawFileError(f"an array of {dtype}, expected numbers")
    if len(shape) > _MAX_AXES or any(type(length) is not int for length in shape):
        raise RawFileError(f"an array of {len(shape)} axes, whose shape is not of at most {_MAX_AXES} whole numbers")
    size, left = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if min(shape, default=1) < 1:
        raise RawFileError(f"an array of shape {shape} holds nothing")
    if size != left:
        raise RawFileError(f"{left} bytes of numbers, expected {size} for shape {shape} of {dtype}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C")
