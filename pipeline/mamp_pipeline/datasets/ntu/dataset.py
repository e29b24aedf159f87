"""Readers of NTU RGB+D 60 and 120, which share a form of file names: the numbers in a name tell them apart."""

import re

from mamp_pipeline.datasets.base import ClipFileReader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.ntu.parse import parse_ntu
from mamp_schemas.datasets.ntu import NTU60, NTU120

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\.skeleton", re.ASCII)


def parse_ntu_name(file_name: str) -> ClipInfo | None:
    """Return what a name `SsssCcccPpppRrrrAaaa.skeleton` says; None for a name of another form."""
    match = _NAME.fullmatch(file_name)
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return ClipInfo(file_name.removesuffix(".skeleton"), action - 1, subject, camera, setup, replication)


class NtuReader(ClipFileReader):
    """Reads `.skeleton` files, one clip each."""

    name_pattern = "SsssCcccPpppRrrrAaaa.skeleton"

    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what a file's name says about its clip."""
        return parse_ntu_name(file_name)

    def why_foreign(self, info: ClipInfo) -> str:
        """Return which number in a name of the form is none of the dataset's; empty if all are."""
        return super().why_foreign(info) or ("action 0, actions count from 1" if info.label < 0 else "")

    def parse(self, data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
        """Return the clip that a file's text holds."""
        return info, parse_ntu(data)


NTU60_READER = NtuReader(NTU60)
NTU120_READER = NtuReader(NTU120)
