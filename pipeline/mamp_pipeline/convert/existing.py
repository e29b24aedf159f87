"""What an existing file holds, whatever its format: the clips it tells of, its splits, and its arrays on demand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.datasets import DatasetSpec
from mamp_schemas.protocols import SplitProtocol

SourceFormat = Literal["npz", "h5", "pyskl"]
LabelKind = Literal["one_hot", "index"]
SecondSlot = Literal["stored", "zeros", "copy", "either"]
"""What a clip's second slot holds besides the bodies given: nothing (`stored`: they are all there is), zeros, a
copy of the first body, or, where that body is zeros itself, `either`."""


@dataclass(frozen=True, slots=True)
class ImportClip:
    """A clip as found in a file.

    Attributes:
        joints: (M, T, V, 3) float32, T at least 1.
        valid_frames: Tv, at least 1.
        second: what the second slot holds where M is 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int
    second_slot: SecondSlot


@dataclass(frozen=True)
class FileSplit:
    """One protocol's sides as a file has them: clip ids in its order; `valid` ones are on the train side too."""

    protocol: SplitProtocol
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportSource:
    """A file to import, its table read and checked.

    Attributes:
        path: the file.
        labels: how it gives labels.
        ids: whether it gives the clips' ids.
        infos: what is known of each clip, in the file's order.
        splits: the protocols it divides its clips by.
        clips: reads the clips, in the order of `infos`.
    """

    path: Path
    origin: SourceFormat
    dataset: DatasetSpec
    label_kind: LabelKind
    id_origin: Literal["file", "made"]
    infos: tuple[ClipInfo, ...]
    splits: tuple[FileSplit, ...]
    read_clips: Callable[[], Iterator[ImportClip]]


@dataclass(frozen=True)
class FileArray:
    """An array of a file, read some rows at a time.

    Attributes:
        key: its name in the file.
        read: yields blocks of so many rows, the last one shorter.
    """

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read_blocks: Callable[[int], Iterator[NDArray[Any]]]
