"""Reads own recordings, one clip a file: the path gives id, label and numbers, the layout says how to parse."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import cast
from unicodedata import normalize
from urllib.parse import quote

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies, RawClip
from mamp_pipeline.datasets.custom.csv_files import parse_csv
from mamp_pipeline.datasets.custom.json_files import parse_json
from mamp_pipeline.datasets.custom.mat_files import parse_mat
from mamp_pipeline.datasets.custom.normalise import Positions, normalise
from mamp_pipeline.datasets.custom.npy_files import parse_npy
from mamp_pipeline.datasets.file_names import (
    SAME_CONTENT_REASON,
    is_system_file,
    name_of_original,
    strip_suffix,
)
from mamp_pipeline.datasets.io.read import have_same_content, read_source
from mamp_pipeline.datasets.io.source import CollectedFiles, RawSource
from mamp_schemas.errors import RawFileError, printable
from mamp_schemas.models.layout import CUSTOM, NUMERIC_NAME_GROUPS, Layout
from mamp_schemas.models.layout_files import ArrayFiles, CsvFiles, MatFiles, NpyFiles
from mamp_schemas.models.pattern import match_whole

_MAX_NUMBER = 2**15 - 1
"""The columns of a store hold 16 bits."""

MAX_ID = 1_000
"""The longest id, in characters: a store has room for the longest of its ids in every clip."""

_UNQUOTED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_DATA_FILE = re.compile(
    r"\.(csv|tsv|txt|json|jsonl|npy|npz|mat|h5|hdf5|xlsx?|ods|parquet|pkl|pickle|bvh|c3d|trc|fbx|skeleton)(\.gz)?$",
    re.IGNORECASE,
)
"""The end of a name of a file that may be a recording in another format than the layout's."""


def clip_id(member: str, suffix: str) -> str:
    """Return the path without its suffix; characters outside of ASCII, %, and bytes that are no UTF-8 become %XX."""
    stem = strip_suffix(member, suffix)
    return quote((member if stem is None else stem).encode("utf-8", "surrogateescape"), safe=_UNQUOTED)


def parse_recording_name(member: str, layout: Layout) -> ClipInfo:
    """Read a path inside a folder or archive.

    Raises:
        RawFileError: the name does not match the layout's `names`, a number is malformed or too large, or the label
            is none of the classes.
        ConfigError: matching `names` takes too long.
    """
    folder, _, file_name = member.rpartition("/")
    stem = strip_suffix(file_name, layout.files.suffix)
    name = normalize("NFC", file_name if stem is None else stem)  # some systems take accents from their letters
    groups = match_whole(layout.names, name)
    if groups is None:
        raise RawFileError(f"name '{printable(name)}' does not match the layout's names: {layout.names}")
    numbers = {group: _number(group, text) for group in NUMERIC_NAME_GROUPS if (text := groups.get(group)) is not None}
    label = -1
    if layout.labels in ("name", "folder"):
        text = groups.get("label") if layout.labels == "name" else folder.rpartition("/")[2]
        label = _class_index(text, layout)
    return ClipInfo(clip_id(member, layout.files.suffix), label, **numbers)


def without_labels(layout: Layout) -> Layout:
    """Return the layout of the same files by which a label in them is left unread, and need not be there."""
    files = layout.files
    if layout.labels != "file" or isinstance(files, ArrayFiles):
        return layout
    label, unused = files.label, files.unused or ()
    if isinstance(label, str) and not isinstance(files, CsvFiles):  # the objects that hold it, too
        keys = label.split(".")
        left: tuple[int | str, ...] = tuple(".".join(keys[: depth + 1]) for depth in range(len(keys)))
    else:
        left = () if label is None else (label,)
    unused = unused if unused == "rest" else (*unused, *left)
    return layout.replaced(files=files.replaced(label=None, unused=unused), labels="none", classes=())


def _class_index(label: str | None, layout: Layout) -> int:
    classes = [normalize("NFC", name) for name in layout.classes]
    label = label and normalize("NFC", label)
    if label not in classes:
        what = f"label '{printable(label)}'" if label else f"no label in its {layout.labels}; it"
        raise RawFileError(f"{what} is none of the layout's classes: {', '.join(layout.classes)}")
    return classes.index(label)


def _number(group: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > _MAX_NUMBER:
        raise RawFileError(f"{group} '{text}' in its name is not a number from 0 to {_MAX_NUMBER}")
    return int(text)


def _check_id(name: str) -> None:
    if len(name) > MAX_ID:
        raise RawFileError(
            f"its path gives an id of {len(name):,} characters (those outside of ASCII are three each byte), at most "
            f"{MAX_ID:,} are taken: shorten the names of the file and its folders"
        )


def parse_recording(data: bytes, layout: Layout) -> RawBodies:
    """Parse a recording's bytes.

    Raises:
        RawFileError: the content is damaged or not as the layout says.
    """
    return normalise(parse_positions(data, layout), layout)


def parse_positions(data: bytes, layout: Layout) -> Positions:
    """Parse a recording's bytes into what the file has: its positions, and its label where the layout says so.

    Raises:
        RawFileError: the content is damaged or not as the layout says.
    """
    files, skeleton = layout.files, layout.skeleton
    if isinstance(files, CsvFiles):
        return parse_csv(data, files, skeleton)
    if isinstance(files, NpyFiles):
        return parse_npy(data, files, skeleton)
    if isinstance(files, MatFiles):
        return parse_mat(data, files, skeleton)
    return parse_json(data, files, skeleton)


class RecordingReader(DatasetReader):
    """Reads own recordings of a layout, one file a clip.

    Args:
        layout: describes the files.
    """

    likeness = _DATA_FILE

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.dataset_spec())
        self._layout, self._unlabelled = layout, without_labels(layout)
        self.name_pattern = f"*{layout.files.suffix}"

    def parse_path(self, member: str) -> ClipInfo | None:
        """Return the id of a file with the layout's suffix; None for any other file.

        What else the path says is left to `read`, which gives reasons for what does not fit.
        """
        suffix = self._layout.files.suffix
        if is_system_file(member) or strip_suffix(member, suffix) is None:
            return None
        return ClipInfo(clip_id(member, suffix), -1)

    def collect(self, files: Iterable[RawSource]) -> CollectedFiles:
        """Return the recordings among files, without second copies such as `NAME (1)` that equal `NAME`."""
        sources, unused = super().collect(files)
        by_id = {source.id: source for source in sources}
        kept = []
        for source in sources:
            original = by_id.get(name_of_original(source.id) or "")
            if original and have_same_content(source, original):
                unused.append((source, SAME_CONTENT_REASON))
            else:
                kept.append(source)
        return CollectedFiles(kept, unused)

    def read(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Read a recording: a single clip.

        Raises:
            RawFileError: the name does not match the layout's `names`, its label is no class, or the content is
                damaged or not as the layout says.
        """
        _check_id(source.id)
        info = parse_recording_name(source.member, self._layout)
        positions = parse_positions(read_source(source), self._layout)
        if self._layout.labels == "file":
            info = replace(info, label=_class_index(positions.label, self._layout))
        return [RawClip(info, normalise(positions, self._layout), source)]

    def read_unnamed(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Read a recording, whatever label its name, folder and content give.

        Raises:
            RawFileError: the content is damaged or not as the layout says.
        """
        return [RawClip(info, parse_recording(read_source(source), self._unlabelled), source)]

    def unnamed_id(self, member: str) -> str:
        """Return an id for any file: its path without the suffix."""
        return clip_id(member, self._layout.files.suffix)


class RecordingDataset:
    """Own recordings in the registry: a layout makes a reader of them."""

    options = CUSTOM

    def with_layout(self, layout: Layout | None) -> DatasetReader:
        """Return the reader of files of a layout.

        Raises:
            UsageError: no layout is given.
        """
        CUSTOM.with_layout(layout)
        return RecordingReader(cast("Layout", layout))


CUSTOM_READER = RecordingDataset()
