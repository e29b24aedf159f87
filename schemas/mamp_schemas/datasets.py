"""What each dataset is: skeleton, classes, body slots, protocols and official counts."""

from typing import Literal

from mamp_schemas.base import Model
from mamp_schemas.errors import UsageError
from mamp_schemas.protocols import SplitProtocol, listed_protocol
from mamp_schemas.skeleton import KINECT_V1, KINECT_V2, Skeleton

KnownDatasetName = Literal["ntu60", "ntu120", "pku1", "pku2", "nwucla"]
DatasetName = Literal[KnownDatasetName, "custom"]
"""`custom` stands for own recordings: a layout describes each such dataset, `DATASETS` the others."""


class DatasetSpec(Model):
    """A dataset of skeleton clips.

    Attributes:
        bodies: M, the body slots of a sample.
        protocols: the first is the one used when none is named.
    """

    name: DatasetName
    title: str
    skeleton: Skeleton
    classes: int
    bodies: int
    protocols: tuple[SplitProtocol, ...]

    def protocol(self, name: str) -> SplitProtocol:
        """Return a protocol by name.

        Raises:
            UsageError: the dataset has no such protocol.
        """
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        if not self.protocols:
            raise UsageError(
                f"{self.title} has no protocols",
                remedy="Add them to the layout as docs/own-data.md shows; ingest again.",
            )
        known = ", ".join(protocol.name for protocol in self.protocols)
        raise UsageError(
            f"{self.title} has no protocol '{name}'; its protocols are: {known}",
            remedy=f"Choose one of them: --protocol {self.protocols[0].name}",
        )


_NTU60_TRAIN_SUBJECTS = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
_NTU120_TRAIN_SUBJECTS = (
    *_NTU60_TRAIN_SUBJECTS,
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78,
    80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103,
)  # fmt: skip

NTU60 = DatasetSpec(
    name="ntu60",
    title="NTU RGB+D 60",
    skeleton=KINECT_V2,
    classes=60,
    bodies=2,
    protocols=(
        SplitProtocol(
            name="xsub",
            column="subject",
            train=_NTU60_TRAIN_SUBJECTS,
            official_train=40_091,
            official_test=16_487,
        ),
        SplitProtocol(name="xview", column="camera", train=(2, 3), official_train=37_646, official_test=18_932),
    ),
)

NTU120 = DatasetSpec(
    name="ntu120",
    title="NTU RGB+D 120",
    skeleton=KINECT_V2,
    classes=120,
    bodies=2,
    protocols=(
        SplitProtocol(
            name="xsub",
            column="subject",
            train=_NTU120_TRAIN_SUBJECTS,
            official_train=63_026,
            official_test=50_919,
        ),
        SplitProtocol(
            name="xset",
            column="setup",
            train=tuple(range(2, 33, 2)),
            official_train=54_468,
            official_test=59_477,
        ),
    ),
)

PKU1 = DatasetSpec(
    name="pku1",
    title="PKU-MMD I",
    skeleton=KINECT_V2,
    classes=51,
    bodies=2,
    protocols=(listed_protocol("xsub", 18_841, 2_704), listed_protocol("xview")),
)

PKU2 = DatasetSpec(
    name="pku2",
    title="PKU-MMD II",
    skeleton=KINECT_V2,
    classes=51,
    bodies=2,
    protocols=(listed_protocol("xsub", 5_332, 1_613), listed_protocol("xview")),
)

NWUCLA = DatasetSpec(
    name="nwucla",
    title="NW-UCLA",
    skeleton=KINECT_V1,
    classes=10,
    bodies=1,
    protocols=(SplitProtocol(name="xview", column="camera", train=(1, 2), official_train=1_020, official_test=464),),
)

DATASETS: dict[KnownDatasetName, DatasetSpec] = {"ntu60": NTU60, "ntu120": NTU120, "pku1": PKU1, "pku2": PKU2, "nwucla": NWUCLA}


def require_known_dataset(dataset: DatasetName) -> KnownDatasetName:
    """Return the name of a dataset that needs no layout.

    Raises:
        UsageError: own recordings, which only their layout describes.
    """
    if dataset == "custom":
        raise UsageError("own recordings need a layout", remedy="docs/own-data.md says how to write one.")
    return dataset
