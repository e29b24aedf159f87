"""The names of an existing file's clips: what they say, and whether the file agrees with them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mamp_pipeline.convert.existing import FileSplit
from mamp_pipeline.raw.bodies import ClipInfo
from mamp_pipeline.raw.formats import belongs_to, raw_format
from mamp_schemas.datasets import DATASETS, DatasetSpec, KnownDatasetName
from mamp_schemas.errors import RawInputError, UsageError
from mamp_schemas.protocols import Split

MAX_NAME_LENGTH = 255


def generate_ids(side: str, clips: int) -> list[str]:
    """Return ids for clips without names, which sort in the order of the file: `train_000001` and on."""
    width = max(6, len(str(clips)))
    return [f"{side}_{number:0{width}d}" for number in range(1, clips + 1)]


def check_ids(path: Path, ids: Sequence[str]) -> None:
    """Make sure that ids can be a store's.

    Raises:
        RawInputError: one is empty, too long, not plain ASCII, or there twice.
    """
    for name in ids:
        if not (name.isascii() and name.isprintable() and 0 < len(name) <= MAX_NAME_LENGTH):
            raise RawInputError(
                f"{path}: clip name {name[:80]!r}: expected 1 to {MAX_NAME_LENGTH} printable ASCII characters"
            )
    name, count = Counter(ids).most_common(1)[0] if ids else ("", 0)
    if count > 1:
        raise RawInputError(f"{path}: clip {name} is there {count} times; each name must stand once")


def detect_dataset(
    path: Path, named: KnownDatasetName | None, ids: Sequence[str], mismatch: Callable[[DatasetSpec], str]
) -> DatasetSpec:
    """Return the dataset a file is of: the one named, or the only one it fits.

    Args:
        path: the file.
        named: what the user says.
        ids: of the clips; of several datasets that fit, those are left whose names these are.
        misfit: tells why the file is not of a dataset; empty where it can be.

    Raises:
        RawInputError: the file is not of the dataset named, or of none.
        UsageError: it could be of several.
    """
    reasons = {name: mismatch(dataset) for name, dataset in DATASETS.items()}
    if named is not None:
        if reasons[named]:
            raise RawInputError(f"{path} is not of {DATASETS[named].title}: {reasons[named]}")
        return DATASETS[named]
    fitting = [name for name, reason in reasons.items() if not reason]
    fitting = [name for name in fitting if all(map(raw_format(name).parse_id, ids))] or fitting
    if len(fitting) == 1:
        return DATASETS[fitting[0]]
    if fitting:
        raise UsageError(
            f"{path}: could be of {', '.join(fitting)}; the file does not say", remedy="Name one with --dataset."
        )
    listed = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
    raise RawInputError(f"{path}: fits no known dataset{listed}")


def make_clip_infos(path: Path, dataset: DatasetSpec, ids: Sequence[str], labels: Iterable[int]) -> list[ClipInfo]:
    """Return what ids and labels say of clips; numbers stay -1 where an id is not of the dataset's form.

    Raises:
        RawInputError: a label is not one of the dataset's classes, or an id says otherwise.
    """
    infos = []
    for name, label in zip(ids, labels, strict=True):
        if not 0 <= label < dataset.classes:
            raise RawInputError(
                f"{path}: clip {name} has label {label}, {dataset.title} has classes 0 to {dataset.classes - 1}"
            )
        info = _parse_name(dataset, name)
        if info.label not in (-1, label):
            raise RawInputError(f"{path}: clip {name} has label {label}, its name says {info.label} (0-based)")
        if info.setup >= 0 and not belongs_to(dataset.name, info):
            raise RawInputError(f"{path}: clip {name} is not of {dataset.title}, says its name")
        infos.append(replace(info, label=label))
    return infos


def check_split(path: Path, split: FileSplit, infos: Iterable[ClipInfo]) -> None:
    """Make sure that names which say a clip's side agree with the file.

    Raises:
        RawInputError: they do not, or a clip is listed twice.
    """
    check_ids(path, [*split.train, *split.test])
    sides: dict[str, Split] = {**dict.fromkeys(split.train, "train"), **dict.fromkeys(split.test, "test")}
    protocol = split.protocol
    numbers = {info.id: int(getattr(info, protocol.column)) for info in infos}
    wrong = [name for name, side in sides.items() if numbers[name] >= 0 and protocol.split_of(numbers[name]) != side]
    if wrong:
        raise RawInputError(
            f"{path}: {len(wrong)} of {len(sides)} clips stand on the other side of {protocol.name} than their names "
            f"say, the first is {wrong[0]} ({protocol.column} {numbers[wrong[0]]}) on the {sides[wrong[0]]} side",
            remedy="Name the protocol that the file was divided by.",
        )


def _parse_name(dataset: DatasetSpec, name: str) -> ClipInfo:
    return raw_format(dataset.name).parse_id(name) or ClipInfo(name, -1)
