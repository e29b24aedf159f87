"""Import of pyskl's pickle: splits by name and an annotation a clip, checked before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.clean.clip import count_valid_frames
from mamp_pipeline.convert.existing import Existing, FileSplit, FoundClip
from mamp_pipeline.convert.names import check_ids, check_split, choose_dataset, describe_clips
from mamp_pipeline.convert.numbers import as_float32
from mamp_pipeline.convert.pickles import PickledArray, load_pickle
from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.datasets import Dataset, DatasetName, Protocol
from mamp_schemas.errors import RawInputError
from mamp_schemas.progress import Progress

_NEEDED = ("frame_dir", "label", "total_frames", "keypoint")


@dataclass(frozen=True, slots=True)
class _Annotation:
    name: str
    label: int
    keypoint: NDArray[Any]


def read_pyskl(path: Path, dataset_name: DatasetName | None, progress: Progress) -> Existing:
    """Read a pickle of 3D skeletons; splits of a protocol the dataset does not have are left out, and named.

    Raises:
        RawInputError: it cannot be read, has another layout, or holds 2D keypoints.
        UsageError: the dataset must be named.
    """
    content = load_pickle(path)
    if not (isinstance(content, dict) and "split" in content and "annotations" in content):
        raise RawInputError(f"{path}: expected a dictionary of 'split' and 'annotations', got {_describe(content)}")
    annotations = _read_annotations(path, content["annotations"], progress)
    lists = _read_lists(path, content["split"], {annotation.name for annotation in annotations})
    dataset = choose_dataset(path, dataset_name, partial(_misfit, annotations, lists if not dataset_name else {}))
    ids = [annotation.name for annotation in annotations]
    check_ids(path, ids)
    infos = describe_clips(path, dataset, ids, [annotation.label for annotation in annotations])
    return Existing(
        path=path,
        origin="pyskl",
        dataset=dataset,
        labels="index",
        ids="file",
        infos=tuple(infos),
        splits=tuple(_make_splits(path, dataset, lists, infos, progress)),
        clips=partial(_read_clips, path, annotations),
    )


def _read_annotations(path: Path, found: object, progress: Progress) -> list[_Annotation]:
    if not isinstance(found, list | tuple):
        raise RawInputError(f"{path}: 'annotations' is {_describe(found)}, expected a list")
    annotations = [_read_annotation(f"{path}: annotation {place}", entry) for place, entry in enumerate(found)]
    size = path.stat().st_size
    if sum(annotation.keypoint.nbytes for annotation in annotations) > size:
        raise RawInputError(f"{path}: its {len(annotations)} clips share arrays: they hold more than its {size} bytes")
    others = sorted({key for entry in found for key in entry if isinstance(key, str)} - set(_NEEDED))
    if others:
        progress.message(f"not kept: {', '.join(others)} of the annotations")
    return annotations


def _read_annotation(place: str, entry: object) -> _Annotation:
    if not isinstance(entry, dict) or any(key not in entry for key in _NEEDED):
        raise RawInputError(f"{place}: got {_describe(entry)}, expected a dictionary of {', '.join(_NEEDED)}")
    name, label, frames = (entry[key] for key in _NEEDED[:3])
    keypoint = entry["keypoint"].values if isinstance(entry["keypoint"], PickledArray) else None
    if not (isinstance(name, str) and type(label) is int and type(frames) is int and keypoint is not None):
        kinds = ", ".join(f"{key} {type(entry[key]).__name__}" for key in _NEEDED)
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
    return _Annotation(name, label, keypoint)


def _read_lists(path: Path, found: object, names: set[str]) -> dict[str, tuple[str, ...]]:
    if not (isinstance(found, dict) and all(isinstance(key, str) for key in found)):
        raise RawInputError(f"{path}: 'split' is {_describe(found)}, expected a dictionary of lists of names")
    lists = {}
    for key, value in found.items():
        listed = value.values.tolist() if isinstance(value, PickledArray) and value.values is not None else value
        if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
            raise RawInputError(f"{path}: split '{key}' is {_describe(value)}, expected a list of names")
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise RawInputError(f"{path}: split '{key}' lists {len(unknown)} clips without an annotation: {unknown[0]}")
        lists[key] = tuple(listed)
    return lists


def _misfit(annotations: Sequence[_Annotation], lists: Mapping[str, object], dataset: Dataset) -> str:
    joints, known = len(dataset.skeleton.joints), {protocol.name for protocol in dataset.protocols}
    for annotation in annotations:
        bodies, _, found, _ = annotation.keypoint.shape
        if found != joints or not 1 <= bodies <= dataset.bodies:
            return (
                f"{annotation.name} has {bodies} bodies of {found} joints, expected 1 to {dataset.bodies} of {joints}"
            )
        if annotation.label >= dataset.classes:
            return f"{annotation.name} has label {annotation.label}, expected 0 to {dataset.classes - 1}"
    foreign = [key for key in lists if key.rpartition("_")[0] not in known]
    return f"it has no protocol of the split '{foreign[0]}'" if foreign else ""


def _make_splits(
    path: Path, dataset: Dataset, lists: Mapping[str, tuple[str, ...]], infos: Sequence[ClipInfo], progress: Progress
) -> Iterator[FileSplit]:
    left = dict(lists)
    for protocol in dataset.protocols:
        if {f"{protocol.name}_train", f"{protocol.name}_val"} <= left.keys():
            yield _make_split(path, protocol, left, infos)
    if left:
        progress.message(f"not kept: the splits {', '.join(left)}, of no protocol of {dataset.title}")


def _make_split(
    path: Path, protocol: Protocol, left: dict[str, tuple[str, ...]], infos: Sequence[ClipInfo]
) -> FileSplit:
    split = FileSplit(protocol, left.pop(f"{protocol.name}_train"), left.pop(f"{protocol.name}_val"))
    check_split(path, split, infos)
    return split


def _read_clips(path: Path, annotations: Sequence[_Annotation]) -> Iterator[FoundClip]:
    for annotation in annotations:
        place = partial(_place, path, annotation)
        joints = as_float32(annotation.keypoint, place)
        slots = np.ascontiguousarray(joints.transpose(1, 0, 2, 3))
        yield FoundClip(joints, max(1, count_valid_frames(slots)), "stored")


def _place(path: Path, annotation: _Annotation, index: tuple[int, ...]) -> str:
    return f"{path}: keypoint{list(index)} of clip {annotation.name}"


def _describe(value: object) -> str:
    if isinstance(value, dict):
        keys = [key[:40] if isinstance(key, str) else type(key).__name__ for key in list(value)[:8]]
        return f"a dictionary of {', '.join(keys) or 'nothing'}"
    return f"a {type(value).__name__}"
