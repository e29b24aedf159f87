"""NTU RGB+D 60 and 120: skeleton, classes, protocols, official counts and policy."""

from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import PAPER_POLICY
from mamp_schemas.models.skeleton import KINECT_V2
from mamp_schemas.models.splits import SplitProtocol

_NTU60_TRAIN_SUBJECTS = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
_NTU120_TRAIN_SUBJECTS = (
    *_NTU60_TRAIN_SUBJECTS,
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78,
    80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103,
)  # fmt: skip

_COUNT_NOTE = "without the missing-skeleton list (ingest --exclude)"

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
NTU60 = DatasetSpec(
    name="ntu60",
    title="NTU RGB+D 60",
    skeleton=KINECT_V2,
    class_names=_NTU60_CLASSES,
    class_mark="A{number:03d}",
    bodies=2,
    protocols=(
        SplitProtocol(
            name="xsub",
            column="subject",
            train=_NTU60_TRAIN_SUBJECTS,
            test=tuple(sorted({*range(1, 41)} - {*_NTU60_TRAIN_SUBJECTS})),
            official_train=40_091,
            official_test=16_487,
        ),
        SplitProtocol(
            name="xview", column="camera", train=(2, 3), test=(1,), official_train=37_646, official_test=18_932
        ),
    ),
    ranges={"setup": (1, 17), "camera": (1, 3), "subject": (1, 40), "replication": (1, 2)},
    paper_policy=PAPER_POLICY.replaced(denoise=True),
    count_note=_COUNT_NOTE,
)

NTU120 = DatasetSpec(
    name="ntu120",
    title="NTU RGB+D 120",
    skeleton=KINECT_V2,
    class_names=_NTU120_CLASSES,
    class_mark="A{number:03d}",
    bodies=2,
    protocols=(
        SplitProtocol(
            name="xsub",
            column="subject",
            train=_NTU120_TRAIN_SUBJECTS,
            test=tuple(sorted({*range(1, 107)} - {*_NTU120_TRAIN_SUBJECTS})),
            official_train=63_026,
            official_test=50_919,
        ),
        SplitProtocol(
            name="xset",
            column="setup",
            train=tuple(range(2, 33, 2)),
            test=tuple(range(1, 33, 2)),
            official_train=54_468,
            official_test=59_477,
        ),
    ),
    ranges={"setup": (1, 32), "camera": (1, 3), "subject": (1, 106), "replication": (1, 2)},
    paper_policy=PAPER_POLICY.replaced(denoise=True, empty_slot="copy"),
    masking_temperature=0.75,
    count_note=_COUNT_NOTE,
)
