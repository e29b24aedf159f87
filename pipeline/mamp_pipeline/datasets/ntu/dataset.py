"""NTU RGB+D 60 and 120. The names of their files, their raw format, and which setups and actions belong to which."""

import re

from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.ntu.parse import parse_ntu
from mamp_pipeline.datasets.raw_format import single_clip_format
from mamp_schemas.models.dataset import DatasetName

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\.skeleton", re.ASCII)


def parse_ntu_name(file_name: str) -> ClipInfo | None:
    """Return what a name `SsssCcccPpppRrrrAaaa.skeleton` says; None where it is not of that form."""
    match = _NAME.fullmatch(file_name)
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return ClipInfo(file_name.removesuffix(".skeleton"), action - 1, subject, camera, setup, replication)


def read_ntu_clip(data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
    """Return the clip that a file's text holds."""
    return info, parse_ntu(data)


NTU_FORMAT = single_clip_format("SsssCcccPpppRrrrAaaa.skeleton", parse_ntu_name, read_ntu_clip)


NTU_SETUPS_AND_ACTIONS: dict[DatasetName, tuple[range, range]] = {
    "ntu60": (range(1, 18), range(60)),
    "ntu120": (range(1, 33), range(120)),
}
"""Setups and 0-based actions."""
