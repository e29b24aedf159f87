"""The table of raw formats: which files a dataset is made of, and how one is read."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies, RawClip
from mamp_pipeline.raw.entries import RawSource, read_source
from mamp_pipeline.raw.ntu import ntu_info, parse_ntu
from mamp_pipeline.raw.nwucla import nwucla_info, parse_nwucla
from mamp_pipeline.raw.pku import SUFFIX, VIDEO_FORMS, video_info
from mamp_pipeline.raw.pku_clips import open_video
from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import RawFileError


@dataclass(frozen=True, slots=True)
class RawFormat:
    """One dataset's raw format.

    Attributes:
        form: what its file names look like, for messages.
        suffix: how they end.
        info: reads a file name; None where it is not of this form.
        parse: reads a file: its bytes and what its name says, to what name and content say, and the bodies.
            None where a file is a video that clips are cut out of.
        setups: setup numbers of the dataset, empty where it has none.
    """

    form: str
    suffix: str
    info: Callable[[str], ClipInfo | None]
    parse: Callable[[bytes, ClipInfo], tuple[ClipInfo, RawBodies]] | None
    setups: range

    def matches(self, file_name: str) -> bool:
        """Whether a file name (no folders) is of this form."""
        return self.info(file_name) is not None

    def open(self, source: RawSource) -> list[RawClip]:
        """Read a raw file into what its clips are made from, in order of id: one, or all those of a video.

        Raises:
            RawFileError: the name is not of this form, or the content is damaged.
        """
        if self.parse is None:
            return open_video(source, self._named(source.file_name))
        info, bodies = self.read(source.file_name, read_source(source))
        return [RawClip(info, bodies, source)]

    def read(self, file_name: str, data: bytes) -> tuple[ClipInfo, RawBodies]:
        """Read a raw file that is one clip from its name and bytes.

        Raises:
            RawFileError: the name is not of this form, the content is damaged, or the file is a video.
        """
        info = self._named(file_name)
        if self.parse is None:
            raise RawFileError(f"'{file_name}' is a video, not one clip")
        return self.parse(data, info)

    def _named(self, file_name: str) -> ClipInfo:
        info = self.info(file_name)
        if info is None:
            raise RawFileError(f"file name '{file_name}' is not of the form {self.form}")
        return info


def _read_ntu(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    return info, parse_ntu(data)


def _read_nwucla(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    label, bodies = parse_nwucla(data, info.id)
    return replace(info, label=label), bodies


_NTU_FORM = "SsssCcccPpppRrrrAaaa.skeleton"

RAW_FORMATS: dict[DatasetName, RawFormat] = {
    "ntu60": RawFormat(_NTU_FORM, ".skeleton", ntu_info, _read_ntu, range(1, 18)),
    "ntu120": RawFormat(_NTU_FORM, ".skeleton", ntu_info, _read_ntu, range(1, 33)),
    "pku1": RawFormat(VIDEO_FORMS["pku1"], SUFFIX, video_info("pku1"), None, range(0)),
    "pku2": RawFormat(VIDEO_FORMS["pku2"], SUFFIX, video_info("pku2"), None, range(0)),
    "nwucla": RawFormat("aAA_sSS_eEE_vVV.json", ".json", nwucla_info, _read_nwucla, range(0)),
}


def belongs(dataset: DatasetName, info: ClipInfo) -> bool:
    """Whether a clip is one of the dataset's: NTU-60 and NTU-120 share a format, and one archive may hold both.

    NTU-60 has setups 1-17 and actions 1-60, NTU-120 setups 1-32 and actions 1-120.
    """
    setups = RAW_FORMATS[dataset].setups
    if not setups:
        return True
    return info.setup in setups and 0 <= info.label < DATASETS[dataset].classes
