"""Import of pyskl's pickle: splits by name and an annotation a clip, checked before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mamp_pipeline.clean.clip import count_valid_frames
from mamp_pipeline.convert.annotations import Annotation, describe_value, read_annotations
from mamp_pipeline.convert.existing import ImportSource, FileSplit, ImportClip
from mamp_pipeline.convert.names import check_ids, check_split, detect_dataset, make_clip_infos
from mamp_pipeline.convert.numbers import as_float32
from mamp_pipeline.convert.pickled import PickledArray
from mamp_pipeline.convert.pickles import load_pickle
from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.datasets import DatasetSpec, KnownDatasetName
from mamp_schemas.errors import RawInputError
from mamp_schemas.progress import Progress
from mamp_schemas.protocols import SplitProtocol


def read_pyskl(path: Path, dataset_name: KnownDatasetName | None, progress: Progress) -> ImportSource:
    """Read a pickle of 3D skeletons; splits of a protocol the dataset does not have are left out, and named.

    Raises:
        RawInputError: it cannot be read, has another layout, or holds 2D keypoints.
        UsageError: the dataset must be named.
    """
    content = load_pickle(path)
    if not (isinstance(content, dict) and "split" in content and "annotations" in content):
        raise RawInputError(f"{path}: expected a dictionary of 'split' and 'annotations', got {describe_value(content)}")
    annotations = read_annotations(path, content["annotations"], progress)
    lists = _read_split_lists(path, content["split"], {annotation.name for annotation in annotations})
    ids = [annotation.name for annotation in annotations]
    dataset = detect_dataset(path, dataset_name, ids, partial(_mismatch, annotations, lists if not dataset_name else {}))
    check_ids(path, ids)
    infos = make_clip_infos(path, dataset, ids, [annotation.label for annotation in annotations])
    return ImportSource(
        path=path,
        origin="pyskl",
        dataset=dataset,
        label_kind="index",
        id_origin="file",
        infos=tuple(infos),
        splits=tuple(_make_splits(path, dataset, lists, infos, progress)),
        read_clips=partial(_read_clips, path, annotations),
    )


def _read_split_lists(path: Path, found: object, names: set[str]) -> dict[str, tuple[str, ...]]:
    if not (isinstance(found, dict) and all(isinstance(key, str) for key in found)):
        raise RawInputError(f"{path}: 'split' is {describe_value(found)}, expected a dictionary of lists of names")
    lists = {}
    for key, value in found.items():
        listed = value.values.tolist() if isinstance(value, PickledArray) and value.values is not None else value
        if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
            raise RawInputError(f"{path}: split '{key}' is {describe_value(value)}, expected a list of names")
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise RawInputError(f"{path}: split '{key}' lists {len(unknown)} clips without an annotation: {unknown[0]}")
        lists[key] = tuple(listed)
    return lists


def _mismatch(annotations: Sequence[Annotation], lists: Mapping[str, object], dataset: DatasetSpec) -> str:
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
    path: Path, dataset: DatasetSpec, lists: Mapping[str, tuple[str, ...]], infos: Sequence[ClipInfo], progress: Progress
) -> Iterator[FileSplit]:
    left = dict(lists)
    for protocol in dataset.protocols:
        if {f"{protocol.name}_train", f"{protocol.name}_val"} <= left.keys():
            yield _make_split(path, protocol, left, infos)
    if left:
        progress.message(f"not kept: the splits {', '.join(left)}, of no protocol of {dataset.title}")


def _make_split(
    path: Path, protocol: SplitProtocol, left: dict[str, tuple[str, ...]], infos: Sequence[ClipInfo]
) -> FileSplit:
    split = FileSplit(protocol, left.pop(f"{protocol.name}_train"), left.pop(f"{protocol.name}_val"))
    check_split(path, split, infos)
    return split


def _read_clips(path: Path, annotations: Sequence[Annotation]) -> Iterator[ImportClip]:
    for annotation in annotations:
        place = partial(_locate, path, annotation)
        joints = as_float32(annotation.keypoint, place)
        slots = np.ascontiguousarray(joints.transpose(1, 0, 2, 3))
        yield ImportClip(joints, max(1, count_valid_frames(slots)), "stored")


def _locate(path: Path, annotation: Annotation, index: tuple[int, ...]) -> str:
    return f"{path}: keypoint{list(index)} of clip {annotation.name}"
