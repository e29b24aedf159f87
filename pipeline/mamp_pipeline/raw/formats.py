"""The table of raw formats: which files a dataset is made of, and how one is read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies, RawClip
from mamp_pipeline.raw.custom import parse_recording_path, read_recording
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.ntu import parse_ntu_name, parse_ntu
from mamp_pipeline.raw.nwucla import parse_nwucla_name, parse_nwucla
from mamp_pipeline.raw.pku import VIDEO_SUFFIX, VIDEO_NAME_PATTERNS, Phase, video_name_parser
from mamp_pipeline.raw.pku_clips import read_video_clips
from mamp_pipeline.raw.reading import read_source
from mamp_schemas.datasets import DatasetName, KnownDatasetName, require_known_dataset
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The raw format of a dataset, or the one that a layout of own recordings describes.

    Attributes:
        form: what its file names look like, for messages.
        suffix: how they end.
        info: reads a path inside a folder or archive; None where it is not of this form.
        read: reads a file and what its name says into what its clips are made from, in order of id.
        several: whether a file is a video, whose clips have ids `VIDEO_INDEX`; else it is one clip.
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


def read_ntu_clip(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    return info, parse_ntu(data)


def read_nwucla_clip(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    label, bodies = parse_nwucla(data, info.id)
    return replace(info, label=label), bodies


def single_clip_format(
    form: str,
    name_info: Callable[[str], ClipInfo | None],
    parse: Callable[[bytes, ClipInfo], tuple[ClipInfo, RawBodies]],
) -> RawFormat:
    """Return a format in which each file is a clip."""

    def read(source: RawSource, info: ClipInfo) -> list[RawClip]:
        return [RawClip(*parse(read_source(source), info), source)]

    return RawFormat(form, form[form.rindex(".") :], partial(parse_base_name, name_info), read)


def video_format(phase: Phase) -> RawFormat:
    return RawFormat(VIDEO_NAME_PATTERNS[phase], VIDEO_SUFFIX, partial(parse_base_name, video_name_parser(phase)), read_video_clips, is_video=True)


def parse_base_name(name_info: Callable[[str], ClipInfo | None], member: str) -> ClipInfo | None:
    return name_info(member.rpartition("/")[2])


NTU_FORMAT = single_clip_format("SsssCcccPpppRrrrAaaa.skeleton", parse_ntu_name, read_ntu_clip)

RAW_FORMATS: dict[KnownDatasetName, RawFormat] = {
    "ntu60": NTU_FORMAT,
    "ntu120": NTU_FORMAT,
    "pku1": video_format("pku1"),
    "pku2": video_format("pku2"),
    "nwucla": single_clip_format("aAA_sSS_eEE_vVV.json", parse_nwucla_name, read_nwucla_clip),
}


def raw_format(dataset: DatasetName, layout: Layout | None = None) -> RawFormat:
    """Return a dataset's raw format: own recordings have the one their layout describes.

    Raises:
        UsageError: own recordings without a layout.
    """
    if layout is None:
        return RAW_FORMATS[require_known_dataset(dataset)]
    suffix = layout.files.suffix
    return RawFormat(
        f"*{suffix}", suffix, partial(parse_recording_path, suffix), lambda source, _: read_recording(source, layout)
    )


NTU_SETUPS_AND_ACTIONS: dict[DatasetName, tuple[range, range]] = {
    "ntu60": (range(1, 18), range(60)),
    "ntu120": (range(1, 33), range(120)),
}
"""Setups and 0-based actions."""


def belongs_to(dataset: DatasetName, info: ClipInfo) -> bool:
    """Whether a clip is one of the dataset's: NTU-60 and NTU-120 share a format, and one archive may hold both.

    NTU-60 has setups 1-17 and actions 1-60, NTU-120 setups 1-32 and actions 1-120.
    """
    if dataset not in NTU_SETUPS_AND_ACTIONS:
        return True
    setups, actions = NTU_SETUPS_AND_ACTIONS[dataset]
    return info.setup in setups and info.label in actions
