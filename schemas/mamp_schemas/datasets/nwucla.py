"""NW-UCLA: skeleton, classes, protocol and official counts."""

from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.skeleton import KINECT_V1
from mamp_schemas.models.splits import SplitProtocol

_NWUCLA_CLASSES = (
    "pick up with one hand", "pick up with two hands", "drop trash", "walk around", "sit down", "stand up", "donning",
    "doffing", "throw", "carry",
)  # fmt: skip

NWUCLA = DatasetSpec(
    name="nwucla",
    title="NW-UCLA",
    skeleton=KINECT_V1,
    class_names=_NWUCLA_CLASSES,
    bodies=1,
    protocols=(
        SplitProtocol(name="xview", column="camera", train=(1, 2), test=(3,), official_train=1_020, official_test=464),
    ),
    ranges={"camera": (1, 3), "subject": (1, 10), "replication": (0, 10)},
)
