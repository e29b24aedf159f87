"""A dataset: stick figures of 9 joints in a made-up text format.

A file `wave-p03-r2.stick` holds one clip of one body: the line `stick9 FRAMES`, then a line a frame of 27 numbers,
x y z of each joint in metres.
"""

import re

import numpy as np

from mamp_pipeline.datasets.base import ClipFileReader, ClipInfo, DatasetSpec, RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.splits import SplitProtocol

CLASSES = ("wave", "kick", "bow")
STICK = Skeleton(
    name="stick9",
    joints=("hip", "chest", "head", "hand_left", "hand_right", "knee_left", "knee_right", "foot_left", "foot_right"),
    parents=(0, 0, 1, 1, 1, 0, 0, 5, 6),
    centre=1,
)
NAME = re.compile(r"((?P<action>[a-z]+)-p(?P<subject>\d\d)-r(?P<replication>\d))\.stick")


class StickReader(ClipFileReader):
    """Reads `.stick` files, one clip each."""

    name_pattern = "ACTION-pNN-rN.stick"

    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what a name says about its clip; None for a file of another kind."""
        match = NAME.fullmatch(file_name)
        if match is None or match["action"] not in CLASSES:
            return None
        label = CLASSES.index(match["action"])
        return ClipInfo(match[1], label, subject=int(match["subject"]), replication=int(match["replication"]))

    def parse(self, data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
        """Return the clip that a file holds.

        Raises:
            RawFileError: the first line is another one, or a frame has not 27 finite numbers.
        """
        first, *lines = data.decode("ascii", errors="replace").splitlines()
        if first != f"stick9 {len(lines)}":
            raise RawFileError(f"line 1: '{first}', expected 'stick9 {len(lines)}'")
        try:
            joints = np.array([line.split() for line in lines], dtype=np.float32).reshape(len(lines), 9, 3)
        except ValueError:
            raise RawFileError("a frame has not 27 numbers") from None
        if not np.isfinite(joints).all():
            raise RawFileError("a coordinate is not finite")
        frames = np.arange(len(lines), dtype=np.int64)
        return info, RawBodies(len(lines), frames, np.zeros_like(frames), joints)


READER = StickReader(
    DatasetSpec(
        name="stick9",
        title="Stick figures",
        skeleton=STICK,
        class_names=CLASSES,
        bodies=1,
        protocols=(SplitProtocol(name="xsub", column="subject", train=(1, 2)),),
    )
)
