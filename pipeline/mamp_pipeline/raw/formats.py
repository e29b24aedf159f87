"""The table of raw formats: which files a dataset is made of, and how one is read."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies
from mamp_pipeline.raw.custom import CustomFormat
from mamp_pipeline.raw.ntu import ntu_info, parse_ntu
from mamp_pipeline.raw.nwucla import nwucla_info, parse_nwucla
from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import Layout


@dataclass(frozen=True, slots=True)
class RawFormat:
    """One dataset's raw format.

    Attributes:
        form: what its file names look like, for messages.
        suffix: how they end.
        name_info: reads a file name; None where it is not of this form.
        parse: reads a file: its bytes and what its name says, to what name and content say, and the bodies.
        setups: setup numbers of the dataset, empty where it has none.
    """

    form: str
    suffix: str
    name_info: Callable[[str], ClipInfo | None]
    parse: Callable[[bytes, ClipInfo], tuple[ClipInfo, RawBodies]]
    setups: range

    def info(self, member: str) -> ClipInfo | None:
        """Read a path inside a folder or archive; None where its file name is not of this form."""
        return self.name_info(member.rpartition("/")[2])

    def matches(self, file_name: str) -> bool:
        """Whether a file name is of this form."""
        return self.info(file_name) is not None

    def read(self, member: str, data: bytes) -> tuple[ClipInfo, RawBodies]:
        """Read a raw file from its path and bytes.

        Raises:
            RawFileError: the name is not of this form, or the content is damaged.
        """
        info = self.info(member)
        if info is None:
            raise RawFileError(f"file name '{member}' is not of the form {self.form}")
        return self.parse(data, info)


def _read_ntu(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    return info, parse_ntu(data)


def _read_nwucla(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    label, bodies = parse_nwucla(data, info.id)
    return replace(info, label=label), bodies


_NTU_FORM = "SsssCcccPpppRrrrAaaa.skeleton"

RAW_FORMATS: dict[DatasetName, RawFormat] = {
    "ntu60": RawFormat(_NTU_FORM, ".skeleton", ntu_info, _read_ntu, range(1, 18)),
    "ntu120": RawFormat(_NTU_FORM, ".skeleton", ntu_info, _read_ntu, range(1, 33)),
    "nwucla": RawFormat("aAA_sSS_eEE_vVV.json", ".json", nwucla_info, _read_nwucla, range(0)),
}


def raw_format(dataset: DatasetName, layout: Layout | None) -> RawFormat | CustomFormat:
    """Return the raw format of a dataset: own recordings have the one their layout describes."""
    return CustomFormat(layout) if layout else RAW_FORMATS[dataset]


def belongs(dataset: DatasetName, info: ClipInfo) -> bool:
    """Whether a clip is one of the dataset's: NTU-60 and NTU-120 share a format, and one archive may hold both.

    NTU-60 has setups 1-17 and actions 1-60, NTU-120 setups 1-32 and actions 1-120.
    """
    if dataset not in RAW_FORMATS or not RAW_FORMATS[dataset].setups:
        return True
    return info.setup in RAW_FORMATS[dataset].setups and 0 <= info.label < DATASETS[dataset].classes
