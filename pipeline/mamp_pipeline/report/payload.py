"""What pages carry: clips packed for the viewer, and data as JSON that no markup can break out of. Pure."""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.clip import FRAMES, SEGMENT, TEST_CROP, ClipView
from mamp_schemas.skeleton import Skeleton

_QUANTISATION_STEPS = 32_767
COLOUR_QUANTILE = 0.99
"""The quantile of a clip's intensity that gets the lightest colour: a single jump would leave all else dark."""
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def embed_json(data: Any) -> str:
    """Return JSON that may stand inside a script element, whatever its strings hold.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def pack_skeleton(skeleton: Skeleton) -> dict[str, Any]:
    """Return joint names and parents."""
    return {"joints": skeleton.joints, "parents": skeleton.parents}


def pack_clip(view: ClipView, skeleton: Skeleton) -> dict[str, Any]:
    """Return a clip for the viewer, about 10 kB for 100 frames of a body of 25 joints.

    Positions are rounded to 1/32767 of the clip's extent and intensities to 1/255 of the lightest colour's, which is
    finer than a screen shows; the tokens' intensities, from which the page computes masks, stay float32.
    """
    extent, joints = quantise(view.joints)
    largest = float(np.quantile(view.intensity, COLOUR_QUANTILE)) or 1.0
    frames = view.joints.shape[1]
    return {
        "id": view.id,
        "label": view.title,
        "numbers": view.numbers,
        "frames": frames,
        "valid": view.valid_frames,
        "bodies": len(view.joints),
        "extent": extent,
        "joints": joints,
        "largest": largest,
        "intensity": encode_base64(np.round(np.minimum(view.intensity / largest, 1) * 255).astype(np.uint8)),
        "sample": {
            "start": view.crop.start,
            "length": view.crop.length,
            "frames": FRAMES,
            "segment": SEGMENT,
            "share": TEST_CROP,
        },
        "tokens": encode_base64(view.tokens.astype("<f4")),
        "fps": view.fps,
        "ratio": view.masking.ratio,
        "temperature": view.masking.temperature,
        "jumps": [
            {"body": row // frames, "frame": row % frames, "joint": skeleton.joints[joint], "metres": round(metres, 3)}
            for row, joint, metres in zip(
                view.jumps.row.tolist(), view.jumps.joint.tolist(), view.jumps.metres.tolist(), strict=True
            )
        ],
    }


def quantise(values: NDArray[np.floating]) -> tuple[float, str]:
    """Return numbers as text, in steps of 1/32767 of the largest magnitude, and that magnitude."""
    extent = float(np.abs(values).max()) or 1.0
    return extent, encode_base64(np.round(values / extent * _QUANTISATION_STEPS).astype("<i2"))


def round_table(values: NDArray[np.floating], digits: int = 5) -> list[Any]:
    """Return a table as lists of numbers of so many decimals, None where it is NaN."""
    return [[None if np.isnan(cell) else round(float(cell), digits) for cell in row] for row in values]


def encode_base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
