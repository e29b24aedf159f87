"""Read and write the pickle of PYSKL, which holds splits by name and one annotation per clip."""

import io
import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import count_valid_frames
from mamp_pipeline.cleaning.plausibility import ONLY_3D
from mamp_pipeline.convert.padded import check_labelled, warn_left_out
from mamp_pipeline.convert.source import (
    OTHER_DATASET_REMEDY,
    FileSplit,
    FileState,
    ImportClip,
    ImportSource,
    as_float32,
    check_format,
    check_ids,
    check_split,
    default_remedy,
    detect_dataset,
    make_clip_infos,
)
from mamp_pipeline.datasets.clips import ClipInfo
from mamp_schemas.errors import RawInputError, printable
from mamp_schemas.io.atomic import atomic_file
from mamp_schemas.io.safe_pickle import PickledArray, load_pickle
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.splits import SplitManifest, SplitProtocol
from mamp_schemas.progress import Progress

logger = logging.getLogger(__name__)


_MAX_LISTED = 10
"""The most splits and keys that a message lists."""

_REQUIRED_KEYS = ("frame_dir", "label", "total_frames", "keypoint")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A clip as annotated: `keypoint` is (M, T, V, 3), T at least 1."""

    name: str
    label: int
    keypoint: NDArray[Any]


def read_annotations(path: Path, value: object) -> list[Annotation]:
    """Check the list of annotations. Keys that a store cannot hold are logged and left out.

    Raises:
        RawInputError: it is no list, or an annotation lacks a key, or is 2D, or contradicts itself.
    """
    if not isinstance(value, list | tuple):
        raise RawInputError(f"{path}: 'annotations' is {describe_value(value)}, expected a list")
    annotations, left = [], path.stat().st_size
    for number, entry in enumerate(value):
        annotations.append(_read_annotation(f"{path}: annotation {number}", entry))
        left -= max(1, annotations[-1].keypoint.nbytes)
        if left < 0:
            raise RawInputError(
                f"{path}: its {len(value):,} clips share arrays: together they hold more than fits in the file",
                remedy="Give each clip an array of its own, and write the file again.",
            )
    others = sorted({key for entry in value for key in entry if isinstance(key, str)} - set(_REQUIRED_KEYS))
    if others:
        logger.info(f"left out: {', '.join(map(printable, others[:_MAX_LISTED]))} of the annotations")
    return annotations


def _read_annotation(where: str, entry: object) -> Annotation:
    if not isinstance(entry, dict) or any(key not in entry for key in _REQUIRED_KEYS):
        raise RawInputError(
            f"{where}: got {describe_value(entry)}, expected a dictionary of {', '.join(_REQUIRED_KEYS)}"
        )
    name, label, frames = (entry[key] for key in _REQUIRED_KEYS[:3])
    keypoint = entry["keypoint"].values if isinstance(entry["keypoint"], PickledArray) else None
    if not (isinstance(name, str) and type(label) is int and type(frames) is int and keypoint is not None):
        kinds = ", ".join(f"{key} {type(entry[key]).__name__}" for key in _REQUIRED_KEYS)
        raise RawInputError(f"{where}: got {kinds}; expected a string, two whole numbers and an array")
    if keypoint.ndim == 4 and keypoint.shape[3] == 2:
        raise RawInputError(f"{where} ({name[:80]}): 2D keypoints {keypoint.shape}: {ONLY_3D}")
    if keypoint.ndim != 4 or keypoint.shape[3] != 3 or keypoint.dtype.kind != "f":
        raise RawInputError(
            f"{where} ({name[:80]}): keypoint has shape {keypoint.shape} and dtype {keypoint.dtype}, "
            "expected (bodies, frames, joints, 3) floating-point numbers"
        )
    if keypoint.shape[1] != frames or frames < 1:
        raise RawInputError(f"{where} ({name[:80]}): total_frames is {frames}, keypoint has {keypoint.shape[1]} frames")
    return Annotation(name, label, keypoint)


def describe_value(value: object) -> str:
    """Describe a value of a pickle in a few words."""
    if isinstance(value, dict):
        keys = [key[:40] if isinstance(key, str) else type(key).__name__ for key in list(value)[:8]]
        return f"a dictionary of {', '.join(keys) or 'nothing'}"
    return f"a {type(value).__name__}"


@default_remedy()
def read_pyskl(path: Path, dataset_name: str | None) -> ImportSource:
    """Read a pickle of 3D skeletons. Splits of protocols that the dataset does not have are left out, with a warning.

    Raises:
        RawInputError: it cannot be read, has another layout, holds 2D keypoints, or would lose all its splits.
        UsageError: the dataset must be named.
    """
    check_format(path, "pyskl")
    state = FileState.of(path)
    content = load_pickle(path)
    if not (isinstance(content, dict) and "split" in content and "annotations" in content):
        raise RawInputError(
            f"{path}: expected a dictionary of 'split' and 'annotations', got {describe_value(content)}",
            remedy=_other_form_remedy(content),
        )
    warn_left_out(path, [str(key) for key in content if key not in ("split", "annotations")])
    annotations = read_annotations(path, content["annotations"])
    lists = _read_split_lists(path, content["split"], {annotation.name for annotation in annotations})
    ids = [annotation.name for annotation in annotations]
    dataset = detect_dataset(
        path, dataset_name, ids, partial(_mismatch, annotations, lists if not dataset_name else {})
    )
    check_ids(path, ids)
    infos = make_clip_infos(path, dataset, ids, [annotation.label for annotation in annotations])
    splits = tuple(_make_splits(path, dataset, lists, infos))
    _warn_of_other_splits(path, dataset, lists, splits, infos)
    return ImportSource(
        path=path,
        origin="pyskl",
        dataset=dataset,
        label_kind="index",
        id_origin="file",
        infos=tuple(infos),
        splits=splits,
        read_clips=partial(_read_clips, path, annotations),
        state=state,
    )


def _other_form_remedy(content: object) -> str:
    if isinstance(content, list | tuple) and len(content) == 2:
        return (
            "A pair of names and labels belongs to an array of ST-GCN's form: write both into one npz file, as "
            "docs/convert.md shows, and use `mampctl import npz`."
        )
    return "Use PYSKL's form, as docs/convert.md describes it."


def _read_split_lists(path: Path, splits: object, names: set[str]) -> dict[str, tuple[str, ...]]:
    if not (isinstance(splits, dict) and all(isinstance(key, str) for key in splits)):
        raise RawInputError(f"{path}: 'split' is {describe_value(splits)}, expected a dictionary of lists of names")
    lists: dict[str, tuple[str, ...]] = {}
    left = path.stat().st_size
    for key, value in splits.items():
        listed = value.values.tolist() if isinstance(value, PickledArray) and value.values is not None else value
        if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
            raise RawInputError(f"{path}: split '{key[:80]}' is {describe_value(value)}, expected a list of names")
        left -= len(listed)
        if left < 0:
            raise RawInputError(
                f"{path}: its {len(splits):,} splits share lists: together they hold more names than fit in the file",
                remedy="Give each split a list of its own, and write the file again.",
            )
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise RawInputError(f"{path}: split '{key}' lists {len(unknown)} clips without an annotation: {unknown[0]}")
        lists[key] = tuple(listed)
    return lists


def _mismatch(annotations: Sequence[Annotation], lists: Mapping[str, object], dataset: DatasetSpec) -> str:
    joints, known = len(dataset.skeleton.joints), {protocol.name for protocol in dataset.protocols}
    for annotation in annotations:
        bodies, _, count, _ = annotation.keypoint.shape
        if count != joints or not 1 <= bodies <= dataset.bodies:
            expected = f"1 to {dataset.bodies} of {joints}"
            return f"{annotation.name} has {bodies} bodies of {count} joints, expected {expected}"
        if annotation.label >= dataset.classes:
            return f"{annotation.name} has label {annotation.label}, expected 0 to {dataset.classes - 1}"
    foreign = [key for key in lists if key.rpartition("_")[0] not in known]
    return f"it has no protocol of the split '{foreign[0]}'" if foreign else ""


def _make_splits(
    path: Path,
    dataset: DatasetSpec,
    lists: Mapping[str, tuple[str, ...]],
    infos: Sequence[ClipInfo],
) -> Iterator[FileSplit]:
    left = dict(lists)
    for protocol in dataset.protocols:
        if {f"{protocol.name}_train", f"{protocol.name}_val"} <= left.keys():
            yield _make_split(path, protocol, left, infos)


def _warn_of_other_splits(
    path: Path,
    dataset: DatasetSpec,
    lists: Mapping[str, object],
    splits: Sequence[FileSplit],
    infos: Sequence[ClipInfo],
) -> None:
    """Name the splits that are left out.

    Raises:
        RawInputError: these are all, and clip names give none either.
    """
    known = {f"{split.protocol.name}_{side}" for split in splits for side in ("train", "val")}
    others = [printable(key[:80]) for key in lists if key not in known]
    if not others:
        return
    first = dataset.protocols[0].name
    listed = ", ".join(others[:_MAX_LISTED])
    if all(key.rpartition("_")[0] in {protocol.name for protocol in dataset.protocols} for key in others):
        what = f"{path}: has only one of _train and _val of the splits {listed}"
    else:
        what = f"{path}: {dataset.title} has no protocol for the splits {listed}"
    numbers = {protocol.column for protocol in dataset.protocols}
    if not splits and all(getattr(info, number) < 0 for info in infos for number in numbers):
        raise RawInputError(
            f"{what}, and the clips' names do not say which split they are in",
            remedy=f"Name the splits in the file after a protocol of the dataset, such as {first}_train and "
            f"{first}_val. {OTHER_DATASET_REMEDY}",
        )
    logger.warning(f"{what}: left out")


def _make_split(
    path: Path, protocol: SplitProtocol, left: dict[str, tuple[str, ...]], infos: Sequence[ClipInfo]
) -> FileSplit:
    split = FileSplit(protocol, left.pop(f"{protocol.name}_train"), left.pop(f"{protocol.name}_val"))
    check_split(path, split, infos)
    if neither := len(infos) - len(split.train) - len(split.test):
        logger.warning(f"{path}: {neither:,} of {len(infos):,} clips are in neither split of {protocol.name}")
    return split


def _read_clips(path: Path, annotations: Sequence[Annotation]) -> Iterator[ImportClip]:
    for annotation in annotations:
        joints = as_float32(annotation.keypoint, partial(_locate, path, annotation))
        slots = np.ascontiguousarray(joints.transpose(1, 0, 2, 3))
        yield ImportClip(joints, max(1, count_valid_frames(slots)), "stored")


def _locate(path: Path, annotation: Annotation, index: tuple[int, ...]) -> str:
    return f"{path}: keypoint{list(index)} of clip {annotation.name}"


PICKLE_PROTOCOL = 4


def export_pyskl(store: Store, manifests: Sequence[SplitManifest], out: Path, progress: Progress) -> None:
    """Write `split` (xsub_train, xsub_val, ... of the manifests) and `annotations` of all clips, sorted by name.

    `keypoint` is (M, T, V, 3) float32 with the real bodies only. One block of clips is in memory at a time. (Reading
    the pickle takes as much memory as the file has bytes.)

    Raises:
        OutputError: `out` already exists or cannot be written.
        StoreError: a clip has no label.
    """
    check_labelled(store, np.arange(len(store.ids)))
    split: dict[str, list[str]] = {}
    for manifest in manifests:
        split[f"{manifest.protocol}_train"] = list(manifest.train)
        split[f"{manifest.protocol}_val"] = list(manifest.test)
    # {"split": split, "annotations": [...]} in the opcodes of pickle: each annotation is written when it is read.
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        progress.start("export", len(store.ids), "clips")
        file.write(pickle.PROTO + bytes([PICKLE_PROTOCOL]) + pickle.EMPTY_DICT + pickle.MARK)
        for value in ("split", split, "annotations"):
            file.write(_to_opcodes(value))
        file.write(pickle.EMPTY_LIST)
        for value in _make_annotations(store, progress):
            file.write(_to_opcodes(value) + pickle.APPEND)
        file.write(pickle.SETITEMS + pickle.STOP)


def _make_annotations(store: Store, progress: Progress) -> Iterator[dict[str, Any]]:
    columns = store.columns
    # After an append the clips of a store are not sorted.
    order = np.array(sorted(range(len(store.ids)), key=store.ids.__getitem__), dtype=np.int64)
    for clips, start, joints in store.read_clips(order):
        for clip in clips:
            bodies, frames = int(columns["bodies"][clip]), int(columns["frames"][clip])
            row = int(columns["first_row"][clip]) - start
            yield {
                "frame_dir": store.ids[clip],
                "label": int(columns["label"][clip]),
                "total_frames": frames,
                "keypoint": joints[row : row + bodies * frames].reshape(bodies, frames, *joints.shape[1:]),
            }
        progress.advance(len(clips))


def _to_opcodes(value: object) -> bytes:
    """Return what puts a value on the stack of an unpickler: its pickle without the first and the last opcode.

    The value refers to nothing pickled before it (`fast`), and nothing later refers to it.
    """
    text = io.BytesIO()
    pickler = _Numpy1Pickler(text, PICKLE_PROTOCOL)
    pickler.fast = True
    pickler.dump(value)
    return text.getvalue()[2:-1]


class _Numpy1Pickler(pickle.Pickler):
    """Writes arrays as `numpy.ndarray(shape, dtype, bytes)`.

    numpy's own pickling names a module that numpy 1 does not have, and pyskl needs numpy 1.
    """

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, "<f4", bytearray(_float32_bytes(value)))
        return NotImplemented


def _float32_bytes(values: NDArray[Any]) -> bytes:
    return values.astype("<f4", copy=False).tobytes()
