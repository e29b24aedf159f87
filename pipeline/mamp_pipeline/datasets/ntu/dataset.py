"""Readers of NTU RGB+D 60 and 120, which share a form of file names: setups and actions tell them apart."""

import re

from mamp_pipeline.datasets.base import ClipFileReader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.ntu.parse import parse_ntu
from mamp_schemas.datasets.ntu import NTU60, NTU120
from mamp_schemas.models.dataset import DatasetSpec

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\.skeleton", re.ASCII)


def parse_ntu_name(file_name: str) -> ClipInfo | None:
    """Return what a name `SsssCcccPpppRrrrAaaa.skeleton` says; None for a name of another form."""
    match = _NAME.fullmatch(file_name)
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return ClipInfo(file_name.removesuffix(".skeleton"), action - 1, subject, camera, setup, replication)


class NtuReader(ClipFileReader):
    """Reads `.skeleton` files, one clip each.

    Args:
        options: the dataset.
        setups: how many setups it has, from 1.
    """

    name_pattern = "SsssCcccPpppRrrrAaaa.skeleton"

    def __init__(self, options: DatasetSpec, setups: int) -> None:
        super().__init__(options)
        self._setups = range(1, setups + 1)

    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what a file's name says about its clip."""
        return parse_ntu_name(file_name)

    def belongs(self, info: ClipInfo) -> bool:
        """Return whether setup and action are the dataset's: NTU-60 has setups 1-17, NTU-120 has 1-32."""
        return info.setup in self._setups and info.label in range(self.options.classes)

    def parse(self, data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
        """Return the clip that a file's text holds."""
        return info, parse_ntu(data)


NTU60_READER = NtuReader(NTU60, setups=17)
NTU120_READER = NtuReader(NTU120, setups=32)
