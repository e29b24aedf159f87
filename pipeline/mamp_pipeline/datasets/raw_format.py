"""What a raw format is. It says which file names it has and how a file is read into raw clips."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mamp_pipeline.datasets.clips import ClipInfo, RawBodies, RawClip
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawFileError


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The raw format of a dataset, or the one that a layout of own recordings describes.

    Attributes:
        name_pattern: what its file names look like, for messages.
        suffix: how they end.
        parse_path: reads a path inside a folder or archive; None where it is not of this form.
        read: reads a file and what its name says into what its clips are made from, in order of id.
        is_video: whether a file is a video, whose clips have ids `VIDEO_INDEX`; else it is one clip.
    """

    name_pattern: str
    suffix: str
    parse_path: Callable[[str], ClipInfo | None]
    read: Callable[[RawSource, ClipInfo], list[RawClip]]
    is_video: bool = False

    def open(self, source: RawSource) -> list[RawClip]:
        """Read a raw file into what its clips are made from, in order of id: one, or all those of a video.

        Raises:
            RawFileError: the name is not of this form, or the content is damaged.
        """
        info = self.parse_path(source.member)
        if info is None:
            raise RawFileError(f"file name '{source.file_name}' is not of the form {self.name_pattern}")
        return self.read(source, info)

    def source_id(self, clip_id: str) -> str:
        """Return the id of the file a clip comes from: its own, or that of its video."""
        return clip_id.rpartition("_")[0] if self.is_video else clip_id

    def parse_id(self, clip_id: str) -> ClipInfo | None:
        """Return what a clip's id says; None where it is not that of a file of this form."""
        info = self.parse_path(self.source_id(clip_id) + self.suffix)
        index = clip_id.rpartition("_")[2]
        return replace(info, id=clip_id) if info and (index.isdecimal() or not self.is_video) else None


def parse_base_name(name_info: Callable[[str], ClipInfo | None], member: str) -> ClipInfo | None:
    """Return what a file's name, without its folders, says of its clip; None for a name of another kind."""
    return name_info(member.rpartition("/")[2])


def single_clip_format(
    form: str,
    name_info: Callable[[str], ClipInfo | None],
    parse: Callable[[bytes, ClipInfo], tuple[ClipInfo, RawBodies]],
) -> RawFormat:
    """Return a format in which each file is a clip."""

    def read(source: RawSource, info: ClipInfo) -> list[RawClip]:
        return [RawClip(*parse(read_source(source), info), source)]

    return RawFormat(form, form[form.rindex(".") :], partial(parse_base_name, name_info), read)
