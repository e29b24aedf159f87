"""Joint layouts: names, parents and the joint a clip is centred on."""

from pydantic import model_validator

from mamp_schemas.base import Model


class Skeleton(Model):
    """The joints of a body.

    Attributes:
        name: the layout's name.
        joints: V joint names, in file order.
        parents: the index of each joint's parent; the root is its own parent.
        centre: index of the joint that clips are centred on.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    centre: int

    @model_validator(mode="after")
    def _indices_in_range(self) -> "Skeleton":
        count = len(self.joints)
        if len(self.parents) != count:
            raise ValueError(f"{len(self.parents)} parents for {count} joints")
        if any(not 0 <= index < count for index in (*self.parents, self.centre)):
            raise ValueError(f"parents and centre must be in 0..{count - 1}")
        if len(set(self.joints)) != count:
            raise ValueError("joint names must differ")
        return self


KINECT_V2 = Skeleton(
    name="kinect_v2",
    joints=(
        "spine_base", "spine_mid", "neck", "head",
        "shoulder_left", "elbow_left", "wrist_left", "hand_left",
        "shoulder_right", "elbow_right", "wrist_right", "hand_right",
        "hip_left", "knee_left", "ankle_left", "foot_left",
        "hip_right", "knee_right", "ankle_right", "foot_right",
        "spine_shoulder", "hand_tip_left", "thumb_left", "hand_tip_right", "thumb_right",
    ),
    parents=(0, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11),
    centre=1,
)  # fmt: skip

KINECT_V1 = Skeleton(
    name="kinect_v1",
    joints=(
        "hip_centre", "spine", "shoulder_centre", "head",
        "shoulder_left", "elbow_left", "wrist_left", "hand_left",
        "shoulder_right", "elbow_right", "wrist_right", "hand_right",
        "hip_left", "knee_left", "ankle_left", "foot_left",
        "hip_right", "knee_right", "ankle_right", "foot_right",
    ),
    parents=(0, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
    centre=1,
)  # fmt: skip
