"""The annotations of a pyskl pickle: one a clip, each checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mamp_pipeline.convert.pickled import PickledArray
from mamp_schemas.errors import RawInputError
from mamp_schemas.progress import Progress

_REQUIRED_KEYS = ("frame_dir", "label", "total_frames", "keypoint")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A clip as annotated: `keypoint` is (M, T, V, 3), T at least 1."""

    name: str
    label: int
    keypoint: NDArray[Any]


def read_annotations(path: Path, found: object, progress: Progress) -> list[Annotation]:
    """Check the list of annotations; keys that a store has no place for are named, and left.

    Raises:
        RawInputError: it is no list, or an annotation lacks a key, or is 2D, or contradicts itself.
    """
    if not isinstance(found, list | tuple):
        raise RawInputError(f"{path}: 'annotations' is {describe_value(found)}, expected a list")
    annotations = [_read_annotation(f"{path}: annotation {place}", entry) for place, entry in enumerate(found)]
    size = path.stat().st_size
    if sum(annotation.keypoint.nbytes for annotation in annotations) > size:
        raise RawInputError(f"{path}: its {len(annotations)} clips share arrays: they hold more than its {size} bytes")
    others = sorted({key for entry in found for key in entry if isinstance(key, str)} - set(_REQUIRED_KEYS))
    if others:
        progress.message(f"not kept: {', '.join(others)} of the annotations")
    return annotations


def _read_annotation(place: str, entry: object) -> Annotation:
    if not isinstance(entry, dict) or any(key not in entry for key in _REQUIRED_KEYS):
        raise RawInputError(f"{place}: got {describe_value(entry)}, expected a dictionary of {', '.join(_REQUIRED_KEYS)}")
    name, label, frames = (entry[key] for key in _REQUIRED_KEYS[:3])
    keypoint = entry["keypoint"].values if isinstance(entry["keypoint"], PickledArray) else None
    if not (isinstance(name, str) and type(label) is int and type(frames) is int and keypoint is not None):
        kinds = ", ".join(f"{key} {type(entry[key]).__name__}" for key in _REQUIRED_KEYS)
        raise RawInputError(f"{place}: got {kinds}; expected a string, two whole numbers and an array")
    if keypoint.ndim == 4 and keypoint.shape[3] == 2:
        raise RawInputError(f"{place} ({name[:80]}): 2D keypoints {keypoint.shape}; only 3D skeletons can be imported")
    if keypoint.ndim != 4 or keypoint.shape[3] != 3 or keypoint.dtype.kind != "f":
        raise RawInputError(
            f"{place} ({name[:80]}): keypoint has shape {keypoint.shape} and dtype {keypoint.dtype}, "
            "expected (bodies, frames, joints, 3) floating-point numbers"
        )
    if keypoint.shape[1] != frames or frames < 1:
        raise RawInputError(f"{place} ({name[:80]}): total_frames is {frames}, keypoint has {keypoint.shape[1]} frames")
    return Annotation(name, label, keypoint)


def describe_value(value: object) -> str:
    """Say in a few words what a value of a pickle is."""
    if isinstance(value, dict):
        keys = [key[:40] if isinstance(key, str) else type(key).__name__ for key in list(value)[:8]]
        return f"a dictionary of {', '.join(keys) or 'nothing'}"
    return f"a {type(value).__name__}"
