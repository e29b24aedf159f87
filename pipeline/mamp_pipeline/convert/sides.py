"""Padded files, npz and HDF5 alike: sides of x, y and perhaps names, checked and made into clips."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from mamp_pipeline.convert.existing import ImportSource, FileArray, FileSplit, ImportClip
from mamp_pipeline.convert.labels import FileLabels, read_labels
from mamp_pipeline.convert.names import check_ids, check_split, detect_dataset, make_clip_infos, generate_ids
from mamp_pipeline.convert.numbers import as_float32
from mamp_pipeline.convert.padded import BLOCK_CLIPS, PADDED_FRAMES
from mamp_pipeline.convert.unpad import unpad_clips
from mamp_schemas.datasets import DATASETS, DatasetSpec, KnownDatasetName
from mamp_schemas.errors import RawInputError


@dataclass(frozen=True, slots=True)
class SplitKeys:
    """What a format calls the arrays of one side."""

    split: Literal["train", "valid", "test"]
    x: str
    y: str
    names: str


@dataclass(frozen=True)
class PaddedRequest:
    """A padded file and what the user says of it: the file names neither its protocol nor, at times, its dataset."""

    path: Path
    origin: Literal["npz", "h5"]
    dataset: KnownDatasetName | None
    protocol: str


@dataclass(frozen=True)
class _PaddedSplit:
    keys: SplitKeys
    x: FileArray
    labels: FileLabels
    ids: tuple[str, ...]


def read_padded(request: PaddedRequest, arrays: Mapping[str, FileArray], layout: Sequence[SplitKeys]) -> ImportSource:
    """Read and check the table of a padded file; its coordinates are left for later.

    Raises:
        RawInputError: an array is missing or of another shape, or names, labels and protocol contradict.
        UsageError: the dataset has no such protocol, or must be named.
    """
    path = request.path
    if request.dataset is not None:
        DATASETS[request.dataset].protocol(request.protocol)
    named = _has_names(path, arrays, layout)
    sides = [_read_split(path, arrays, keys, named) for keys in layout]
    kinds = {side.keys.y: side.labels.kind for side in sides}
    if len(set(kinds.values())) > 1:
        raise RawInputError(f"{path}: labels of two kinds: {kinds}")
    ids = [name for side in sides for name in side.ids]
    dataset = detect_dataset(path, request.dataset, ids, partial(_mismatch, sides, request.protocol))
    check_ids(path, ids)
    infos = make_clip_infos(path, dataset, ids, np.concatenate([side.labels.values for side in sides]).tolist())
    train, valid, test = (
        tuple(name for side in sides if side.keys.split == wanted for name in side.ids)
        for wanted in ("train", "valid", "test")
    )
    split = FileSplit(dataset.protocol(request.protocol), (*train, *valid), test, valid)
    check_split(path, split, infos)
    return ImportSource(
        path=path,
        origin=request.origin,
        dataset=dataset,
        label_kind=sides[0].labels.kind,
        id_origin="file" if named else "made",
        infos=tuple(infos),
        splits=(split,),
        read_clips=partial(_read_clips, path, sides, dataset.bodies),
    )


def _has_names(path: Path, arrays: Mapping[str, FileArray], layout: Sequence[SplitKeys]) -> bool:
    missing = [key for keys in layout for key in (keys.x, keys.y) if key not in arrays]
    if missing:
        raise RawInputError(
            f"{path}: no {', '.join(missing)} in it; got {', '.join(sorted(arrays)) or 'nothing'}, "
            f"expected {', '.join(key for keys in layout for key in (keys.x, keys.y))}"
        )
    found = [keys.names in arrays for keys in layout]
    if any(found) and not all(found):
        lacking = ", ".join(keys.names for keys in layout if keys.names not in arrays)
        raise RawInputError(f"{path}: names for some sides only: no {lacking}")
    return all(found)


def _read_split(path: Path, arrays: Mapping[str, FileArray], keys: SplitKeys, named: bool) -> _PaddedSplit:
    x, y = arrays[keys.x], arrays[keys.y]
    if len(x.shape) != 3 or x.dtype.kind != "f":
        raise RawInputError(
            f"{path}: '{keys.x}' has shape {x.shape} and dtype {x.dtype}, expected (clips, {PADDED_FRAMES}, M·V·3) "
            "floating-point numbers"
        )
    lengths = {array.key: array.shape[:1] for array in (x, y, *([arrays[keys.names]] if named else []))}
    if len(set(lengths.values())) > 1:
        raise RawInputError(f"{path}: arrays of one side differ in length: {lengths}")
    ids = _read_names(path, arrays[keys.names]) if named else generate_ids(keys.split, x.shape[0])
    return _PaddedSplit(keys, x, read_labels(y), tuple(ids))


def _read_names(path: Path, array: FileArray) -> list[str]:
    if len(array.shape) != 1 or array.dtype.kind not in "US":
        raise RawInputError(
            f"{path}: '{array.key}' has shape {array.shape} and dtype {array.dtype}, expected a string a clip"
        )
    try:
        return [name for block in array.read_blocks(BLOCK_CLIPS) for name in block.astype(np.str_).tolist()]
    except UnicodeDecodeError as problem:
        raise RawInputError(f"{path}: '{array.key}' holds a name that is not ASCII ({problem.reason})") from None


def _mismatch(sides: Sequence[_PaddedSplit], protocol: str, dataset: DatasetSpec) -> str:
    shape = (PADDED_FRAMES, dataset.bodies * len(dataset.skeleton.joints) * 3)
    for side in sides:
        labels = side.labels
        if side.x.shape[1:] != shape:
            return f"'{side.keys.x}' has shape {side.x.shape}, expected (clips, {shape[0]}, {shape[1]})"
        if labels.classes not in (None, dataset.classes):
            return f"'{side.keys.y}' has {labels.classes} classes, expected {dataset.classes}"
        if labels.values.max(initial=0) >= dataset.classes:
            return f"'{side.keys.y}' has label {labels.values.max()}, expected 0 to {dataset.classes - 1}"
    return "" if protocol in {known.name for known in dataset.protocols} else f"it has no protocol '{protocol}'"


def _read_clips(path: Path, sides: Sequence[_PaddedSplit], slots: int) -> Iterator[ImportClip]:
    for side in sides:
        first = 0
        for block in side.x.read_blocks(BLOCK_CLIPS):
            place = partial(_locate, path, side, first)
            yield from unpad_clips(as_float32(block, place), slots)
            first += len(block)


def _locate(path: Path, side: _PaddedSplit, first: int, index: tuple[int, ...]) -> str:
    clip, frame, number = first + index[0], index[1], index[2]
    return f"{path}: '{side.keys.x}'[{clip}, {frame}, {number}] (clip {side.ids[clip]})"
