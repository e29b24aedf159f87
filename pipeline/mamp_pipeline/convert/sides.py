"""Padded files, npz and HDF5 alike: sides of x, y and perhaps names, checked and made into clips."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from mamp_pipeline.convert.existing import Existing, FileArray, FileSplit, FoundClip
from mamp_pipeline.convert.labels import FileLabels, read_labels
from mamp_pipeline.convert.names import check_ids, check_split, choose_dataset, describe_clips, make_ids
from mamp_pipeline.convert.numbers import as_float32
from mamp_pipeline.convert.padded import BLOCK_CLIPS, PADDED_FRAMES
from mamp_pipeline.convert.unpad import unpad
from mamp_schemas.datasets import DATASETS, Dataset, KnownName
from mamp_schemas.errors import RawInputError


@dataclass(frozen=True, slots=True)
class SideKeys:
    """What a format calls the arrays of one side."""

    side: Literal["train", "valid", "test"]
    x: str
    y: str
    names: str


@dataclass(frozen=True)
class PaddedRequest:
    """A padded file and what the user says of it: the file names neither its protocol nor, at times, its dataset."""

    path: Path
    origin: Literal["npz", "h5"]
    dataset: KnownName | None
    protocol: str


@dataclass(frozen=True)
class _Side:
    keys: SideKeys
    x: FileArray
    labels: FileLabels
    ids: tuple[str, ...]


def read_padded(request: PaddedRequest, arrays: Mapping[str, FileArray], layout: Sequence[SideKeys]) -> Existing:
    """Read and check the table of a padded file; its coordinates are left for later.

    Raises:
        RawInputError: an array is missing or of another shape, or names, labels and protocol contradict.
        UsageError: the dataset has no such protocol, or must be named.
    """
    path = request.path
    if request.dataset is not None:
        DATASETS[request.dataset].protocol(request.protocol)
    named = _have_names(path, arrays, layout)
    sides = [_read_side(path, arrays, keys, named) for keys in layout]
    kinds = {side.keys.y: side.labels.kind for side in sides}
    if len(set(kinds.values())) > 1:
        raise RawInputError(f"{path}: labels of two kinds: {kinds}")
    ids = [name for side in sides for name in side.ids]
    dataset = choose_dataset(path, request.dataset, ids, partial(_misfit, sides, request.protocol))
    check_ids(path, ids)
    infos = describe_clips(path, dataset, ids, np.concatenate([side.labels.values for side in sides]).tolist())
    train, valid, test = (
        tuple(name for side in sides if side.keys.side == wanted for name in side.ids)
        for wanted in ("train", "valid", "test")
    )
    split = FileSplit(dataset.protocol(request.protocol), (*train, *valid), test, valid)
    check_split(path, split, infos)
    return Existing(
        path=path,
        origin=request.origin,
        dataset=dataset,
        labels=sides[0].labels.kind,
        ids="file" if named else "made",
        infos=tuple(infos),
        splits=(split,),
        clips=partial(_read_clips, path, sides, dataset.bodies),
    )


def _have_names(path: Path, arrays: Mapping[str, FileArray], layout: Sequence[SideKeys]) -> bool:
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


def _read_side(path: Path, arrays: Mapping[str, FileArray], keys: SideKeys, named: bool) -> _Side:
    x, y = arrays[keys.x], arrays[keys.y]
    if len(x.shape) != 3 or x.dtype.kind != "f":
        raise RawInputError(
            f"{path}: '{keys.x}' has shape {x.shape} and dtype {x.dtype}, expected (clips, {PADDED_FRAMES}, M·V·3) "
            "floating-point numbers"
        )
    lengths = {array.key: array.shape[:1] for array in (x, y, *([arrays[keys.names]] if named else []))}
    if len(set(lengths.values())) > 1:
        raise RawInputError(f"{path}: arrays of one side differ in length: {lengths}")
    ids = _read_names(path, arrays[keys.names]) if named else make_ids(keys.side, x.shape[0])
    return _Side(keys, x, read_labels(y), tuple(ids))


def _read_names(path: Path, array: FileArray) -> list[str]:
    if len(array.shape) != 1 or array.dtype.kind not in "US":
        raise RawInputError(
            f"{path}: '{array.key}' has shape {array.shape} and dtype {array.dtype}, expected a string a clip"
        )
    try:
        return [name for block in array.read(BLOCK_CLIPS) for name in block.astype(np.str_).tolist()]
    except UnicodeDecodeError as problem:
        raise RawInputError(f"{path}: '{array.key}' holds a name that is not ASCII ({problem.reason})") from None


def _misfit(sides: Sequence[_Side], protocol: str, dataset: Dataset) -> str:
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


def _read_clips(path: Path, sides: Sequence[_Side], slots: int) -> Iterator[FoundClip]:
    for side in sides:
        first = 0
        for block in side.x.read(BLOCK_CLIPS):
            place = partial(_place, path, side, first)
            yield from unpad(as_float32(block, place), slots)
            first += len(block)


def _place(path: Path, side: _Side, first: int, index: tuple[int, ...]) -> str:
    clip, frame, number = first + index[0], index[1], index[2]
    return f"{path}: '{side.keys.x}'[{clip}, {frame}, {number}] (clip {side.ids[clip]})"
