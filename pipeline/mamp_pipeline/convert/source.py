"""A file to import, in any format: its clips, splits and arrays, and checks of names and numbers."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.base import DatasetReader, find_reader
from mamp_pipeline.datasets.clips import ClipInfo
from mamp_schemas.errors import RawInputError, UsageError, printable
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.models.dataset import DatasetSpec, fixed_specs
from mamp_schemas.models.splits import Split, SplitProtocol

logger = logging.getLogger(__name__)

SourceFormat = Literal["npz", "h5", "pyskl"]
LabelKind = Literal["one_hot", "index"]
SecondSlot = Literal["stored", "zeros", "copy", "either"]
"""Content of a clip's second body slot: a body of its own (`stored`), zeros, a copy of the first body, or `either` of
the last two if the first body is zeros."""


@dataclass(frozen=True, slots=True)
class ImportClip:
    """A clip of a file.

    Attributes:
        joints: (M, T, V, 3) float32, T at least 1.
        valid_frames: Tv, at least 1.
        second_slot: content of the second slot if M is 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int
    second_slot: SecondSlot


@dataclass(frozen=True)
class FileSplit:
    """The splits of a protocol in a file: clip ids in its order. The `valid` ones are among `train` too."""

    protocol: SplitProtocol
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...] = ()


class FileState(NamedTuple):
    """What changes when a file is written to or replaced."""

    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "FileState | None":
        """Return a file's state; None if there is none, which opening it will say."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class ImportSource:
    """A file to import, with names and labels read and checked.

    Attributes:
        path: the file.
        origin: its format.
        dataset: the dataset of its clips.
        label_kind: one-hot rows or class numbers.
        id_origin: whether the clips' ids are from the file or were generated.
        infos: id, label and numbers of each clip, in the file's order.
        splits: its splits, by protocol.
        read_clips: yields the clips, in the order of `infos`.
        state: of the file before anything of it was read.
    """

    path: Path
    origin: SourceFormat
    dataset: DatasetSpec
    label_kind: LabelKind
    id_origin: Literal["file", "made"]
    infos: tuple[ClipInfo, ...]
    splits: tuple[FileSplit, ...]
    read_clips: Callable[[], Iterator[ImportClip]]
    state: FileState | None

    def check_unchanged(self) -> None:
        """Check that the file is still the one whose names and labels were read.

        Raises:
            RawInputError: it was replaced or written to.
        """
        if FileState.of(self.path) != self.state:
            raise RawInputError(
                f"{self.path}: was replaced or written to while it was read",
                remedy="Wait until the file is complete, and import it again.",
            )


@dataclass(frozen=True)
class FileArray:
    """An array of a file, which can be read in blocks of rows.

    Attributes:
        key: its name in the file.
        shape: its shape.
        dtype: its dtype.
        read_blocks: yields blocks of the given number of rows; the last one may be shorter.
    """

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read_blocks: Callable[[int], Iterator[NDArray[Any]]]


_ZIP_MAGIC = b"PK\x03\x04"
_START_BYTES = 512
"""Bytes that are read to tell what a file is: the header of a zip archive's first member with its name."""
_RAW_MEMBERS = (".skeleton", ".skeleton.gz", ".json", "/")

_MAGIC: Mapping[bytes, tuple[SourceFormat | None, str, str]] = {
    b"\x89HDF\r\n\x1a\n": ("h5", "an HDF5 file", "Use `mampctl import h5` for it."),
    _ZIP_MAGIC: ("npz", "a zip archive, as npz files are", "Use `mampctl import npz` for an npz file."),
    b"\x80": ("pyskl", "a pickle", "Use `mampctl import pyskl` if it is in PYSKL's form."),
    b"\x93NUMPY": (
        None,
        "a single array (npy)",
        "Write the clips, labels and names of both splits into one file, as docs/convert.md describes for npz.",
    ),
    b"\x1f\x8b": (None, "compressed with gzip", "Unpack it with gunzip, and import the file that comes out."),
}
"""The first bytes of files: their format, what they are, and what to do with them."""


def check_format(path: Path, expected: SourceFormat) -> None:
    """Check that a file does not begin as one of another format. A file that cannot be read passes.

    Raises:
        RawInputError: it does; says what it is and how it is imported.
    """
    if path.is_dir():
        remedy = f"Name the file itself; raw files are read by: mampctl ingest DATASET --raw {quote(str(path))}"
        if (path / "zarr.json").exists():
            remedy = "A store needs no import."
        raise RawInputError(f"{path}: is a folder, not a file of `mampctl import {expected}`", remedy=remedy)
    try:
        with open_regular(path) as file:
            start = file.read(_START_BYTES)
    except OSError:
        return
    if start.startswith(_ZIP_MAGIC):
        _check_zip(path, start)
    for magic, (name, description, remedy) in _MAGIC.items():
        if start.startswith(magic) and name != expected:
            raise RawInputError(f"{path}: is {description}, not a file of `mampctl import {expected}`", remedy=remedy)


def _check_zip(path: Path, start: bytes) -> None:
    """Check that a zip archive does not begin as one of raw files, or as weights of a network.

    Raises:
        RawInputError: it does.
    """
    name = start[30 : 30 + int.from_bytes(start[26:28], "little")].decode("ascii", "replace")
    if name.endswith("data.pkl"):
        raise RawInputError(
            f"{path}: is a PyTorch checkpoint, which holds the weights of a network and no clips",
            remedy="Name it where a network is expected, such as --from of mampctl train (docs/using-models.md).",
        )
    if name.lower().endswith(_RAW_MEMBERS):
        raise RawInputError(
            f"{path}: is an archive of other files than arrays, the first is {printable(name)!r}",
            remedy=f"Raw files are read by: mampctl ingest DATASET --raw {quote(str(path))}",
        )


MAX_METRES = 1e36
"""Larger values, in metres, could make sums over the coordinates of a frame overflow float32."""


def as_float32(values: NDArray[Any], locate: Callable[[tuple[int, ...]], str]) -> NDArray[np.float32]:
    """Return values as contiguous float32, without changing any.

    Args:
        values: floating-point numbers of any width.
        locate: describes an index, for error messages.

    Raises:
        RawInputError: one is not finite, too large, or not a float32.
    """
    if not values.size:
        return np.zeros(values.shape, dtype=np.float32)
    # Written so that NaN is refused: comparisons with it are false.
    if not (float(values.max()) <= MAX_METRES and float(values.min()) >= -MAX_METRES):
        with np.errstate(invalid="ignore"):  # signalling NaN
            wide = values.astype(np.float64)
        index = tuple(np.argwhere(~(np.abs(wide) <= MAX_METRES))[0].tolist())
        raise RawInputError(
            f"{locate(index)}: got {values[index]}, expected a finite number of metres, at most {MAX_METRES:g}",
            remedy="Repair or leave out that clip, and write the file again.",
        )
    with np.errstate(invalid="ignore"):  # bits of a long double that are no number
        single = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.itemsize > single.dtype.itemsize and not np.array_equal(single, values):
        index = tuple(np.argwhere(single != values)[0].tolist())
        raise RawInputError(
            f"{locate(index)}: {values[index]} is not a float32 number; an export could not give it back",
            remedy="Write the file again with its coordinates rounded: x.astype(np.float32).",
        )
    return single


MAX_NAME_LENGTH = 255


def generate_ids(split: str, clips: int) -> list[str]:
    """Return ids for clips without names, sorted in the order of the file: `train_000001` and so on."""
    width = max(6, len(str(clips)))
    return [f"{split}_{number:0{width}d}" for number in range(1, clips + 1)]


def check_ids(path: Path, ids: Sequence[str]) -> None:
    """Check that ids are valid in a store.

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
        raise RawInputError(f"{path}: clip {name} is there {count} times; each name must be there once")


@contextmanager
def default_remedy() -> Iterator[None]:
    """Add what to do to errors of files that are not of their format's form."""
    try:
        yield
    except RawInputError as problem:
        if problem.remedy:
            raise
        remedy = "Write the file again in the form that docs/convert.md describes."
        raise RawInputError(problem.message, remedy=remedy) from problem.__cause__


OTHER_DATASET_REMEDY = (
    "Clips with other classes or joints come in as own recordings: write each to an npy file in a folder of its class, "
    "and ingest them with a layout (docs/own-data.md)."
)


def detect_dataset(
    path: Path, named: str | None, ids: Sequence[str], mismatch: Callable[[DatasetSpec], str]
) -> DatasetSpec:
    """Return the dataset of a file: the one that the user gave, or the only one that fits.

    Args:
        path: the file.
        named: the name that the user gave, or None.
        ids: clip ids; of several datasets that fit, only those count whose names these can be.
        mismatch: returns why the file cannot be of a dataset; empty if it can.

    Raises:
        RawInputError: the file is not of the dataset named, or of none.
        UsageError: it could be of several.
    """
    specs = fixed_specs()
    reasons = {name: mismatch(spec) for name, spec in specs.items()}
    if named is not None:
        if reasons[named]:
            raise RawInputError(f"{path} is not of {specs[named].title}: {reasons[named]}", remedy=OTHER_DATASET_REMEDY)
        return specs[named]
    fitting = [name for name, reason in reasons.items() if not reason]
    fitting = [name for name in fitting if _can_be_named(find_reader(name), ids)] or fitting
    if len(fitting) == 1:
        return specs[fitting[0]]
    if fitting:
        raise UsageError(
            f"{path}: could be of {', '.join(fitting)}; the file does not say", remedy="Name one with --dataset."
        )
    listed = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
    raise RawInputError(f"{path}: fits no known dataset{listed}", remedy=OTHER_DATASET_REMEDY)


def _can_be_named(reader: DatasetReader, ids: Sequence[str]) -> bool:
    infos = map(reader.parse_id, ids)
    return all(info is not None and not reader.why_foreign(info) for info in infos)


def make_clip_infos(path: Path, dataset: DatasetSpec, ids: Sequence[str], labels: Iterable[int]) -> list[ClipInfo]:
    """Return id, label and numbers of clips; numbers are -1 if an id does not have the dataset's form.

    Raises:
        RawInputError: a label is not one of the dataset's classes, or an id says otherwise.
    """
    infos, reader = [], find_reader(dataset.name)
    for name, label in zip(ids, labels, strict=True):
        if not 0 <= label < dataset.classes:
            raise RawInputError(
                f"{path}: clip {name} has label {label}, {dataset.title} has classes 0 to {dataset.classes - 1}"
            )
        parsed = reader.parse_id(name)
        info = parsed or ClipInfo(name, -1)
        if info.label not in (-1, label):
            raise RawInputError(f"{path}: clip {name} has label {label}, its name says {info.label} (0-based)")
        if parsed and (reason := reader.why_foreign(parsed)):
            raise RawInputError(
                f"{path}: clip {name} is not of {dataset.title}, says its name: {reason}",
                remedy="Name the dataset that the file is of with --dataset, or write the file without such clips.",
            )
        infos.append(replace(info, label=label))
    return infos


def check_split(path: Path, split: FileSplit, infos: Iterable[ClipInfo]) -> None:
    """Check that clip names that determine the split agree with the file. Warn of a split without clips.

    Raises:
        RawInputError: they do not, or a clip is listed twice.
    """
    check_ids(path, [*split.train, *split.test])
    splits: dict[str, Split] = {**dict.fromkeys(split.train, "train"), **dict.fromkeys(split.test, "test")}
    protocol = split.protocol
    for side, names in (("train", split.train), ("test", split.test)):
        if not names:
            logger.warning(f"{path}: the {side} split of {protocol.name} is empty")
    numbers = {info.id: int(getattr(info, protocol.column)) for info in infos}
    wrong = [name for name, split in splits.items() if numbers[name] >= 0 and protocol.split_of(numbers[name]) != split]
    if wrong:
        raise RawInputError(
            f"{path}: {len(wrong)} of {len(splits)} clips are in the other split of {protocol.name} than their names "
            f"say, the first is {wrong[0]} ({protocol.column} {numbers[wrong[0]]}) in the {splits[wrong[0]]} split",
            remedy="Name the protocol that the file was divided by.",
        )
