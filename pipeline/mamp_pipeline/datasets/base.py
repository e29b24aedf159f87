"""What a dataset's reader is: which raw files are the dataset's, and how one becomes raw clips.

A dataset of another distribution is one file and one line. The file holds a reader, whose `options` is the dataset's
specification; the line is an entry point in its pyproject.toml:

    [project.entry-points."mampctl.datasets"]
    mydata = "my_package.mydata:READER"

A reader of files that each hold one clip is a subclass of `ClipFileReader`: it sets `name_pattern` and implements
`parse_name` and `parse`. A reader of other files is a subclass of `DatasetReader`, with `parse_path` and `read`. The
rest has defaults.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawBodies, RawClip
from mamp_pipeline.datasets.file_names import explain_left_out, strip_suffix
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.io.source import CollectedFiles, RawSource
from mamp_schemas.errors import RawFileError, RawInputError, printable
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.splits import ClipNumber
from mamp_schemas.registry import DATASETS

_NAME_NUMBERS = ("label", *get_args(ClipNumber))

__all__ = ["ClipFileReader", "ClipInfo", "DatasetReader", "DatasetSpec", "RawBodies", "find_reader"]


class DatasetReader(ABC):
    """Finds the raw files of a dataset, reads them, and cleans what they hold.

    Attributes:
        options: the dataset's specification.
        name_pattern: what the names of its raw files look like, for messages; the text from its last dot on
            selects the files.
        likeness: matches in names of other files that may be raw files, because it is their name without the suffix,
            for example; such files are listed as left out. None: only the suffix tells.

    Args:
        options: the dataset's specification.
    """

    name_pattern: str
    likeness: re.Pattern[str] | None = None

    def __init__(self, options: DatasetSpec) -> None:
        self.options = options

    # What every reader says.

    @abstractmethod
    def parse_path(self, member: str) -> ClipInfo | None:
        """Return what a path inside a folder or archive says about its clip; None for other files.

        Names are read in any case, and with `.gz` behind them (`strip_suffix`); an id is the same for all of these.
        """

    @abstractmethod
    def read(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the raw clips of a file, in order of id.

        Args:
            source: the file.
            info: what its path says.

        Raises:
            RawFileError: the file is damaged; it is quarantined with this reason.
        """

    # What a reader says where the defaults do not fit.

    def read_unnamed(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the raw clips of a file whose name and labels do not count, as `read` does.

        Args:
            source: the file.
            info: an id only.
        """
        return self.read(source, info)

    @property
    def summary(self) -> str:
        """One line for lists and help."""
        return self.options.title

    @property
    def suffix(self) -> str:
        """How the names of the raw files end."""
        return self.name_pattern[self.name_pattern.rindex(".") :]

    def with_layout(self, layout: Layout | None) -> "DatasetReader":
        """Return the reader of files of a layout; itself where the dataset has a format of its own.

        Raises:
            UsageError: the dataset takes no layout, or needs one.
        """
        self.options.with_layout(layout)
        return self

    def explain_left_out(self, member: str) -> str | None:
        """Return why a file that looks like a raw file is none, without its name; None for other files.

        Args:
            member: a path of which `parse_path` returns None.
        """
        return explain_left_out(member, self.suffix, self.name_pattern, self.likeness)

    def collect(self, files: Iterable[RawSource]) -> CollectedFiles:
        """Return the dataset's sources among files, each with its id, sorted by id, and the other files.

        Raises:
            RawInputError: two files have the same id.
        """
        sources: dict[str, RawSource] = {}
        unused: list[tuple[RawSource, str | None]] = []
        for file in files:
            info = self.parse_path(file.member)
            if info is None:
                unused.append((file, None))
                continue
            first = sources.setdefault(info.id, file)
            if first is not file:
                raise same_clip_error(f"clip {printable(info.id)}", first, file)
        return CollectedFiles([replace(sources[key], id=key) for key in sorted(sources)], unused)

    def collect_unnamed(self, files: Iterable[RawSource]) -> CollectedFiles:
        """Return the files to read by `open_unnamed`, each with an id, and those that only belong to one of them.

        Names need not be of the dataset's form, and several files may have the same id.
        """
        return CollectedFiles([replace(file, id=self.unnamed_id(file.member)) for file in files], [])

    def why_foreign(self, info: ClipInfo) -> str:
        """Return why a clip whose name has the dataset's form is none of its clips; empty if it is one.

        Datasets share a form of names (NTU-60 and NTU-120), and a name may hold a number that no clip has.
        """
        return self.options.find_out_of_range({name: getattr(info, name) for name in _NAME_NUMBERS})

    def notes(self, sources: Sequence[RawSource]) -> Iterator[str]:  # noqa: ARG002 - as above
        """Yield what a user should know about the sources of an ingest."""
        yield from ()

    def clean(self, content: Any, policy: IngestPolicy) -> Clip | None:
        """Return the clip that a raw clip's content becomes; None where it holds no position.

        Raises:
            RawFileError: it cannot become a clip; it is quarantined with this reason.
        """
        return make_clip(content, policy, self.options.skeleton)

    def cleaning_notes(self, content: Any, policy: IngestPolicy) -> Iterator[str]:  # noqa: ARG002 - as above
        """Yield keys of `NOTE_DESCRIPTIONS` that tell what happened to a clip."""
        yield from ()

    def source_id(self, clip_id: str) -> str:
        """Return the id of the source that a clip comes from."""
        return clip_id

    # What follows from the above.

    def open(self, source: RawSource) -> list[RawClip]:
        """Read a raw file into its raw clips, in order of id.

        Raises:
            RawFileError: the name is not of the dataset's form, or the content is damaged.
        """
        info = self.parse_path(source.member)
        if info is None:
            raise RawFileError(f"file name '{printable(source.file_name)}' is not of the form {self.name_pattern}")
        return self.read(source, info)

    def open_unnamed(self, source: RawSource) -> list[RawClip]:
        """Read a raw file of any name; what names and folders say about its clips is not looked at.

        Raises:
            RawFileError: the content is damaged.
        """
        return self.read_unnamed(source, ClipInfo(source.id, -1))

    def unnamed_id(self, member: str) -> str:
        """Return an id for the clip of a file of any name: the dataset's, else the name without its suffix."""
        info = self.parse_path(member)
        name = member.rpartition("/")[2]
        return info.id if info else printable(strip_suffix(name, self.suffix) or name)

    def parse_id(self, clip_id: str) -> ClipInfo | None:
        """Return what a clip's id says; None where it is not an id of the dataset.

        Ids of other programs may be paths of raw files, or have blanks around them.
        """
        name = clip_id.strip()
        info = self.parse_path(self.source_id(strip_suffix(name, self.suffix) or name) + self.suffix)
        return info and replace(info, id=clip_id)


class ClipFileReader(DatasetReader):
    """Reads files that hold one clip each."""

    @abstractmethod
    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what a file's name says about its clip; None for a file that is not one of the dataset's."""

    @abstractmethod
    def parse(self, data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
        """Return the clip that a file holds.

        Args:
            data: the file's bytes.
            info: what its name says.

        Returns:
            What name and content say about the clip, and its bodies.

        Raises:
            RawFileError: the file is damaged; it is quarantined with this reason.
        """

    def parse_path(self, member: str) -> ClipInfo | None:
        """Return what the file name at the end of a path says about its clip; None for other files.

        `parse_name` gets the suffix in the dataset's case, and without `.gz`.
        """
        name = member.rpartition("/")[2]
        stem = strip_suffix(name, self.suffix)
        return self.parse_name(name if stem is None else stem + self.suffix)

    def read(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the clip of a file."""
        return [RawClip(*self.parse(read_source(source), info), source)]


def same_clip_error(clip: str, first: RawSource, second: RawSource) -> RawInputError:
    """Return the error of a clip of which two files were found."""
    return RawInputError(
        f"{clip} is there twice: {first.location} and {second.location}",
        remedy="Name each folder or archive once, and of two files of one clip (another case, gzipped or not) keep "
        "one: move the other out of --raw.",
    )


def find_reader(dataset: str, layout: Layout | None = None) -> DatasetReader:
    """Return the reader of a registered dataset.

    Raises:
        UsageError: no such dataset is registered; own recordings without a layout, or a layout for another dataset.
    """
    return cast("DatasetReader", DATASETS.get(dataset).with_layout(layout))
