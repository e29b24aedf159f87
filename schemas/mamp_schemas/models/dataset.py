"""Dataset specifications: skeleton, classes and their names, body slots, split protocols and official counts."""

from typing import Literal

from mamp_schemas.errors import UsageError
from mamp_schemas.models.base import Model
from mamp_schemas.models.protocol import SplitProtocol, listed_protocol
from mamp_schemas.models.skeleton import KINECT_V1, KINECT_V2, Skeleton

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

DATASETS: dict[KnownDatasetName, DatasetSpec] = {
    "ntu60": NTU60,
    "ntu120": NTU120,
    "pku1": PKU1,
    "pku2": PKU2,
    "nwucla": NWUCLA,
}


def require_known_dataset(dataset: DatasetName) -> KnownDatasetName:
    """Return the name of a dataset that needs no layout.

    Raises:
        UsageError: own recordings, which only their layout describes.
    """
    if dataset == "custom":
        raise UsageError("own recordings need a layout", remedy="docs/own-data.md says how to write one.")
    return dataset


_NTU60_CLASSES = (
    "drink water", "eat meal/snack", "brushing teeth", "brushing hair", "drop", "pickup", "throw", "sitting down",
    "standing up (from sitting position)", "clapping", "reading", "writing", "tear up paper", "wear jacket",
    "take off jacket", "wear a shoe", "take off a shoe", "wear on glasses", "take off glasses", "put on a hat/cap",
    "take off a hat/cap", "cheer up", "hand waving", "kicking something", "reach into pocket",
    "hopping (one foot jumping)", "jump up", "make a phone call/answer phone", "playing with phone/tablet",
    "typing on a keyboard", "pointing to something with finger", "taking a selfie", "check time (from watch)",
    "rub two hands together", "nod head/bow", "shake head", "wipe face", "salute", "put the palms together",
    "cross hands in front (say stop)", "sneeze/cough", "staggering", "falling", "touch head (headache)",
    "touch chest (stomachache/heart pain)", "touch back (backache)", "touch neck (neckache)",
    "nausea or vomiting condition", "use a fan (with hand or paper)/feeling warm", "punching/slapping other person",
    "kicking other person", "pushing other person", "pat on back of other person", "point finger at the other person",
    "hugging other person", "giving something to other person", "touch other person's pocket", "handshaking",
    "walking towards each other", "walking apart from each other",
)  # fmt: skip
_NTU120_CLASSES = (
    *_NTU60_CLASSES,
    "put on headphone", "take off headphone", "shoot at the basket", "bounce ball", "tennis bat swing",
    "juggling table tennis balls", "hush (quiet)", "flick hair", "thumb up", "thumb down", "make ok sign",
    "make victory sign", "staple book", "counting money", "cutting nails", "cutting paper (using scissors)",
    "snapping fingers", "open bottle", "sniff (smell)", "squat down", "toss a coin", "fold paper", "ball up paper",
    "play magic cube", "apply cream on face", "apply cream on hand back", "put on bag", "take off bag",
    "put something into a bag", "take something out of a bag", "open a box", "move heavy objects", "shake fist",
    "throw up cap/hat", "hands up (both hands)", "cross arms", "arm circles", "arm swings", "running on the spot",
    "butt kicks (kick backward)", "cross toe touch", "side kick", "yawn", "stretch oneself", "blow nose",
    "hit other person with something", "wield knife towards other person",
    "knock over other person (hit with body)", "grab other person's stuff", "shoot at other person with a gun",
    "step on foot", "high-five", "cheers and drink", "carry something with other person",
    "take a photo of other person", "follow other person", "whisper in other person's ear",
    "exchange things with other person", "support somebody with hand",
    "finger-guessing game (playing rock-paper-scissors)",
)  # fmt: skip
_PKU_CLASSES = (
    "bow", "brushing hair", "brushing teeth", "check time (from watch)", "cheer up", "clapping",
    "cross hands in front (say stop)", "drink water", "drop", "eat meal/snack", "falling",
    "giving something to other person", "hand waving", "handshaking", "hopping (one foot jumping)",
    "hugging other person", "jump up", "kicking other person", "kicking something", "make a phone call/answer phone",
    "pat on back of other person", "pickup", "playing with phone/tablet", "point finger at the other person",
    "pointing to something with finger", "punching/slapping other person", "pushing other person",
    "put on a hat/cap", "put something inside pocket", "reading", "rub two hands together", "salute", "sitting down",
    "standing up", "take off a hat/cap", "take off glasses", "take off jacket", "take out something from pocket",
    "taking a selfie", "tear up paper", "throw", "touch back (backache)", "touch chest (stomachache/heart pain)",
    "touch head (headache)", "touch neck (neckache)", "typing on a keyboard",
    "use a fan (with hand or paper)/feeling warm", "wear jacket", "wear on glasses", "wipe face", "writing",
)  # fmt: skip
_NWUCLA_CLASSES = (
    "pick up with one hand", "pick up with two hands", "drop trash", "walk around", "sit down", "stand up", "donning",
    "doffing", "throw", "carry",
)  # fmt: skip

CLASS_NAMES: dict[KnownDatasetName, tuple[str, ...]] = {
    "ntu60": _NTU60_CLASSES,
    "ntu120": _NTU120_CLASSES,
    "pku1": _PKU_CLASSES,
    "pku2": _PKU_CLASSES,
    "nwucla": _NWUCLA_CLASSES,
}
"""As the datasets' authors list them; a class's place is its label."""
