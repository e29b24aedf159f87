"""Readers of NTU RGB+D 60 and 120, which share a form of file names: the numbers in a name tell them apart."""

import re

from mamp_pipeline.datasets.base import ClipFileReader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.file_names import strip_suffix
from mamp_pipeline.datasets.ntu.parse import parse_ntu
from mamp_schemas.datasets.ntu import NTU60, NTU120

_SUFFIX = ".skeleton"
_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII | re.IGNORECASE)


def parse_ntu_name(file_name: str) -> ClipInfo | None:
    """Return what a name `SsssCcccPpppRrrrAaaa.skeleton`, in any case, says; None for a name of another form."""
    stem = strip_suffix(file_name, _SUFFIX)
    match = _NAME.fullmatch(stem) if stem else None
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return ClipInfo(match[0].upper(), action - 1, subject, camera, setup, replication)


class NtuReader(ClipFileReader):
    """Reads `.skeleton` files, one clip each."""

    name_pattern = "SsssCcccPpppRrrrAaaa.skeleton"
    likeness = re.compile(r"S\d+C\d+P\d+R\d+A\d+", re.ASCII | re.IGNORECASE)

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
