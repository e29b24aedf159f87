"""Read and write the padded layout of the npz and HDF5 formats.

A split has x (clips, 300, M·V·3), y (one-hot or class numbers) and optionally names.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import count_valid_frames
from mamp_pipeline.cleaning.plausibility import ONLY_3D
from mamp_pipeline.convert.source import (
    MAX_NAME_LENGTH,
    FileArray,
    FileSplit,
    FileState,
    ImportClip,
    ImportSource,
    LabelKind,
    SecondSlot,
    as_float32,
    check_ids,
    check_split,
    detect_dataset,
    generate_ids,
    make_clip_infos,
)
from mamp_schemas.errors import RawInputError, StoreError
from mamp_schemas.io.store_reader import BLOCK_CLIPS, Store
from mamp_schemas.models.dataset import DatasetSpec, dataset_spec
from mamp_schemas.models.policy import ImportedPolicy

logger = logging.getLogger(__name__)

PADDED_FRAMES = 300


def padded_width(store: Store) -> int:
    """Return M·V·3, the length of a padded frame."""
    return store.metadata.dataset_spec().bodies * len(store.metadata.skeleton.joints) * 3


def check_labelled(store: Store, clips: NDArray[np.int64]) -> None:
    """Check that every clip has a label.

    Raises:
        StoreError: one has none.
    """
    unlabelled = clips[store.columns["label"][clips] < 0]
    if len(unlabelled):
        raise StoreError(
            f"clip {store.ids[unlabelled[0]]} has no label, which the exported formats need",
            remedy="Read these clips from the store itself; see docs/store-format.md.",
        )


def check_exportable(store: Store, clips: NDArray[np.int64]) -> None:
    """Check that no clip would be cut and that every clip has a label.

    Raises:
        StoreError: a clip is longer than the padded layout holds, or has no label.
    """
    frames = store.columns["frames"][clips]
    long = clips[frames > PADDED_FRAMES]
    if len(long):
        raise StoreError(
            f"{len(long)} clips have more than {PADDED_FRAMES} frames, the first is {store.ids[long[0]]} with "
            f"{store.columns['frames'][long[0]]}; the padded layout would cut them",
            remedy="Export them with mampctl export pyskl, or read them from the store: see docs/store-format.md.",
        )
    check_labelled(store, clips)


def pad_clips(store: Store, clips: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield (n, 300, M·V·3) blocks of clips.

    A frame is body after body, joint after joint, x y z. The empty slot of a one-body clip is zeros or a copy of the
    body, as the store's policy says. Frames after the last one are zeros.

    Args:
        store: the store.
        clips: clip indices, in the order of the blocks.
    """
    for run, start, joints in store.read_clips(clips):
        block = np.zeros((len(run), PADDED_FRAMES, padded_width(store)), dtype=np.float32)
        for clip, padded in zip(run, block, strict=True):
            _pad_clip(store, clip, joints, start, padded)
        yield block


def _pad_clip(store: Store, clip: int, joints: NDArray[np.float32], start: int, out: NDArray[np.float32]) -> None:
    frames, bodies = int(store.columns["frames"][clip]), int(store.columns["bodies"][clip])
    row = int(store.columns["first_row"][clip]) - start
    tracks = joints[row : row + frames * bodies].reshape(bodies, frames, -1)
    slots = out[:frames].reshape(frames, store.metadata.dataset_spec().bodies, -1)
    slots[:, :bodies] = tracks.transpose(1, 0, 2)
    if store.metadata.policy.empty_slot == "copy" and bodies < slots.shape[1]:
        slots[:, bodies:] = tracks[:1].transpose(1, 0, 2)


def padded_labels(store: Store, clips: NDArray[np.int64]) -> NDArray[np.float32] | NDArray[np.int64]:
    """Return one-hot rows (clips, classes), or class numbers (clips,) if the store was imported with such."""
    labels = store.columns["label"][clips].astype(np.int64)
    policy = store.metadata.policy
    if isinstance(policy, ImportedPolicy) and policy.origin != "pyskl" and policy.labels == "index":
        return labels
    return np.asarray(np.eye(store.metadata.dataset_spec().classes, dtype=np.float32)[labels])


def padded_names(store: Store, clips: NDArray[np.int64]) -> NDArray[np.str_] | None:
    """Return the clips' ids, or None if the import had to generate them."""
    policy = store.metadata.policy
    if isinstance(policy, ImportedPolicy) and policy.ids == "made":
        return None
    return np.array([store.ids[clip] for clip in clips], dtype=np.str_)


def unpad_clips(block: NDArray[np.float32], slots: int) -> Iterator[ImportClip]:
    """Yield the clips of a padded block. Padding them again gives the same bits.

    A clip ends with its last frame that has a bit set (-0.0 counts, 0.0 does not); a clip of zeros has one frame. If
    the signed sum of every frame is 0, the first frame counts as valid, because a sample needs one.

    Args:
        block: (n, 300, M·V·3).
        slots: M, 1 or 2.
    """
    filled = np.any(block.view(np.uint32), axis=2)
    last = block.shape[1] - np.argmax(filled[:, ::-1], axis=1)
    frames = np.where(filled.any(axis=1), last, 1)
    for padded, count in zip(block, frames.tolist(), strict=True):
        slots_TMVC = padded[:count].reshape(count, slots, -1, 3)
        second = _classify_second_slot(slots_TMVC)
        bodies = slots if second == "stored" else 1
        valid = max(1, count_valid_frames(slots_TMVC))
        yield ImportClip(np.ascontiguousarray(slots_TMVC[:, :bodies].transpose(1, 0, 2, 3)), valid, second)


def _classify_second_slot(slots_TMVC: NDArray[np.float32]) -> SecondSlot:
    if slots_TMVC.shape[1] == 1:
        return "stored"
    bits = slots_TMVC.view(np.uint32)
    if not bits[:, 1].any():
        return "zeros" if bits[:, 0].any() else "either"
    return "copy" if np.array_equal(bits[:, 0], bits[:, 1]) else "stored"


_LABEL_BLOCK = 4_096

_MAX_CLIPS = 10_000_000
"""The most clips of a split: names and labels are held in memory, and a few bytes can claim any number of them."""


_MAX_CLASSES = 10_000


@dataclass(frozen=True)
class FileLabels:
    """Labels of a file.

    Attributes:
        kind: one-hot rows or class numbers.
        classes: the width of one-hot rows; None for class numbers.
        values: (clips,) 0-based.
    """

    kind: LabelKind
    classes: int | None
    values: NDArray[np.int64]


def read_labels(array: FileArray) -> FileLabels:
    """Read labels, either (clips, classes) one-hot or (clips,) whole numbers.

    Raises:
        RawInputError: neither of them, or a row that is not one-hot.
    """
    if len(array.shape) == 2 and array.dtype.kind in "fiub" and array.shape[1] <= _MAX_CLASSES:
        values = [
            _read_one_hot(array, block, start * _LABEL_BLOCK)
            for start, block in enumerate(array.read_blocks(_LABEL_BLOCK))
        ]
        return FileLabels("one_hot", array.shape[1], np.concatenate([np.zeros(0, dtype=np.int64), *values]))
    if len(array.shape) == 1 and array.dtype.kind in "iu":
        values = [
            _read_numbers(array, block, start * _LABEL_BLOCK)
            for start, block in enumerate(array.read_blocks(_LABEL_BLOCK))
        ]
        return FileLabels("index", None, np.concatenate([np.zeros(0, dtype=np.int64), *values]))
    raise RawInputError(
        f"'{array.key}' has shape {array.shape} and dtype {array.dtype}, "
        f"expected one-hot rows (clips, up to {_MAX_CLASSES:,} classes) or whole numbers (clips,)"
    )


def _read_one_hot(array: FileArray, block: NDArray[Any], first: int) -> NDArray[np.int64]:
    ones = block == 1
    good = (ones.sum(axis=1) == 1) & ((block == 0) | ones).all(axis=1)
    if not good.all():
        row = first + int(np.argmin(good))
        raise RawInputError(f"'{array.key}', row {row}: not one-hot; expected a single 1 and zeros")
    return np.asarray(ones.argmax(axis=1), dtype=np.int64)


def _read_numbers(array: FileArray, block: NDArray[Any], first: int) -> NDArray[np.int64]:
    low = np.asarray(block < 0)
    if low.any():
        row = int(np.argmax(low))
        raise RawInputError(f"'{array.key}', row {first + row}: label {block[row]}, expected a class from 0 on")
    return np.asarray(np.minimum(block, np.iinfo(np.int64).max), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SplitKeys:
    """The names of the arrays of a split in a format."""

    split: Literal["train", "valid", "test"]
    x: str
    y: str
    names: str


@dataclass(frozen=True)
class PaddedRequest:
    """A padded file, with the protocol and, if it must be given, the dataset: the file does not contain them.

    Made before anything of the file is read, so that `state` is that of what is read.
    """

    path: Path
    origin: Literal["npz", "h5"]
    dataset: str | None
    protocol: str
    state: FileState | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", FileState.of(self.path))


@dataclass(frozen=True)
class _PaddedSplit:
    keys: SplitKeys
    x: FileArray
    labels: FileLabels
    ids: tuple[str, ...]


def read_padded(request: PaddedRequest, arrays: Mapping[str, FileArray], layout: Sequence[SplitKeys]) -> ImportSource:
    """Read and check names and labels of a padded file. Coordinates are read later.

    Raises:
        RawInputError: an array is missing or has another shape, or names, labels and protocol contradict each other.
        UsageError: the dataset has no such protocol, or must be given.
    """
    path = request.path
    if request.dataset is not None:
        dataset_spec(request.dataset).protocol(request.protocol)
    named = _has_names(path, arrays, layout)
    splits = [_read_split(path, arrays, keys, named) for keys in layout]
    kinds = {split_arrays.keys.y: split_arrays.labels.kind for split_arrays in splits}
    if len(set(kinds.values())) > 1:
        raise RawInputError(f"{path}: labels of two kinds: {kinds}")
    ids = [name for split_arrays in splits for name in split_arrays.ids]
    dataset = detect_dataset(path, request.dataset, ids, partial(_mismatch, splits, request.protocol))
    check_ids(path, ids)
    infos = make_clip_infos(
        path, dataset, ids, np.concatenate([split_arrays.labels.values for split_arrays in splits]).tolist()
    )
    train, valid, test = (
        tuple(name for split_arrays in splits if split_arrays.keys.split == wanted for name in split_arrays.ids)
        for wanted in ("train", "valid", "test")
    )
    split = FileSplit(dataset.protocol(request.protocol), (*train, *valid), test, valid)
    check_split(path, split, infos)
    return ImportSource(
        path=path,
        origin=request.origin,
        dataset=dataset,
        label_kind=splits[0].labels.kind,
        id_origin="file" if named else "made",
        infos=tuple(infos),
        splits=(split,),
        read_clips=partial(_read_clips, path, splits, dataset.bodies),
        state=request.state,
    )


def warn_left_out(path: Path, keys: Sequence[str]) -> None:
    """Say which arrays of a file are not of the layout and so are not read."""
    if keys:
        more = ", …" if len(keys) > 8 else ""
        logger.warning(
            f"{path}: {len(keys)} others are not read: {', '.join(ascii(key[:40]) for key in keys[:8])}{more}"
        )


def _has_names(path: Path, arrays: Mapping[str, FileArray], layout: Sequence[SplitKeys]) -> bool:
    missing = [key for keys in layout for key in (keys.x, keys.y) if key not in arrays]
    if missing:
        raise RawInputError(
            f"{path}: no {', '.join(missing)} in it; got {', '.join(sorted(arrays)) or 'nothing'}, "
            f"expected {', '.join(key for keys in layout for key in (keys.x, keys.y))}",
            remedy="Write the file with these arrays, as docs/convert.md describes them.",
        )
    has_names = [keys.names in arrays for keys in layout]
    if any(has_names) and not all(has_names):
        lacking = ", ".join(keys.names for keys in layout if keys.names not in arrays)
        raise RawInputError(f"{path}: names for some splits only: no {lacking}")
    return all(has_names)


def _read_split(path: Path, arrays: Mapping[str, FileArray], keys: SplitKeys, named: bool) -> _PaddedSplit:
    x, y = arrays[keys.x], arrays[keys.y]
    if len(x.shape) != 3 or x.dtype.kind != "f":
        raise RawInputError(
            f"{path}: '{keys.x}' has shape {x.shape} and dtype {x.dtype}, expected (clips, {PADDED_FRAMES}, M·V·3) "
            "floating-point numbers"
        )
    lengths = {array.key: array.shape[:1] for array in (x, y, *([arrays[keys.names]] if named else []))}
    if len(set(lengths.values())) > 1:
        raise RawInputError(f"{path}: arrays of one split differ in length: {lengths}")
    if x.shape[0] > _MAX_CLIPS:
        raise RawInputError(
            f"{path}: '{keys.x}' has {x.shape[0]:,} clips, expected at most {_MAX_CLIPS:,}",
            remedy="Make or fetch the file again; of a real one, write the clips into several.",
        )
    ids = _read_names(path, arrays[keys.names]) if named else generate_ids(keys.split, x.shape[0])
    return _PaddedSplit(keys, x, read_labels(y), tuple(ids))


def _read_names(path: Path, array: FileArray) -> list[str]:
    wide = array.dtype.itemsize > 4 * MAX_NAME_LENGTH
    if len(array.shape) != 1 or array.dtype.kind not in "US" or wide:
        raise RawInputError(
            f"{path}: '{array.key}' has shape {array.shape} and dtype {array.dtype}, "
            f"expected a string of up to {MAX_NAME_LENGTH} characters for each clip"
        )
    try:
        return [name for block in array.read_blocks(BLOCK_CLIPS) for name in block.astype(np.str_).tolist()]
    except UnicodeDecodeError as problem:
        raise RawInputError(f"{path}: '{array.key}' holds a name that is not ASCII ({problem.reason})") from None


def _mismatch(splits: Sequence[_PaddedSplit], protocol: str, dataset: DatasetSpec) -> str:
    shape = (PADDED_FRAMES, dataset.bodies * len(dataset.skeleton.joints) * 3)
    for split_arrays in splits:
        labels = split_arrays.labels
        if split_arrays.x.shape[1:] != shape:
            flat = split_arrays.x.shape[2] == shape[1] // 3 * 2
            expected = f"expected (clips, {shape[0]}, {shape[1]}){f': {ONLY_3D}' if flat else ''}"
            return f"'{split_arrays.keys.x}' has shape {split_arrays.x.shape}, {expected}"
        if labels.classes not in (None, dataset.classes):
            return f"'{split_arrays.keys.y}' has {labels.classes} classes, expected {dataset.classes}"
        if labels.values.max(initial=0) >= dataset.classes:
            return f"'{split_arrays.keys.y}' has label {labels.values.max()}, expected 0 to {dataset.classes - 1}"
    return "" if protocol in {known.name for known in dataset.protocols} else f"it has no protocol '{protocol}'"


def _read_clips(path: Path, splits: Sequence[_PaddedSplit], slots: int) -> Iterator[ImportClip]:
    for split_arrays in splits:
        first = 0
        for block in split_arrays.x.read_blocks(BLOCK_CLIPS):
            yield from unpad_clips(as_float32(block, partial(_locate, path, split_arrays, first)), slots)
            first += len(block)


def _locate(path: Path, split_arrays: _PaddedSplit, first: int, index: tuple[int, ...]) -> str:
    clip, frame, number = first + index[0], index[1], index[2]
    return f"{path}: '{split_arrays.keys.x}'[{clip}, {frame}, {number}] (clip {split_arrays.ids[clip]})"
