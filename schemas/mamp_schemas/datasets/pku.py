"""PKU-MMD I and II: skeleton, classes, protocols, official counts and policy."""

from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import PAPER_POLICY
from mamp_schemas.models.skeleton import KINECT_V2
from mamp_schemas.models.splits import listed_protocol

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
_PAPER_POLICY = PAPER_POLICY.replaced(tracking_gaps=None, centre="none", interval_start="zero_based", max_frames=300)
"""The authors' script cuts clips out of videos: they are neither denoised nor centred, and cut at 300 frames."""

PKU1 = DatasetSpec(
    name="pku1",
    title="PKU-MMD I",
    skeleton=KINECT_V2,
    class_names=_PKU_CLASSES,
    bodies=2,
    protocols=(listed_protocol("xsub", 18_841, 2_704), listed_protocol("xview")),
    paper_policy=_PAPER_POLICY,
)

PKU2 = DatasetSpec(
    name="pku2",
    title="PKU-MMD II",
    skeleton=KINECT_V2,
    class_names=_PKU_CLASSES,
    bodies=2,
    protocols=(listed_protocol("xsub", 5_332, 1_613), listed_protocol("xview")),
    paper_policy=_PAPER_POLICY,
)
