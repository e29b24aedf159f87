"""Skeletons: joint names, parents and the joint that clips are centred on."""

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model


class Skeleton(Model):
    """The joints of a body.

    Attributes:
        name: the layout's name.
        joints: V joint names, in file order.
        parents: the index of each joint's parent; the root is its own parent.
        centre: index of the joint that clips are centred on.
    """

    name: str
    joints: tuple[str, ...] = Field(max_length=1_000)
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

    @model_validator(mode="after")
    def _one_tree(self) -> "Skeleton":
        roots = [joint for joint, parent in enumerate(self.parents) if joint == parent]
        if len(roots) != 1:
            names = ", ".join(self.joints[root] for root in roots) or "none"
            raise ValueError(f"one joint, the root, must be its own parent; here: {names}")
        for joint, name in enumerate(self.joints):
            seen = {joint}
            while (joint := self.parents[joint]) not in seen:
                seen.add(joint)
            if joint != roots[0]:
                raise ValueError(f"joint '{name}' is not connected to the root: its parents go round in a circle")
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

COCO_17 = Skeleton(
    name="coco_17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    parents=(0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
    centre=11,
)  # fmt: skip
"""COCO's keypoints. None lies on the spine: clips are centred on the left hip."""

MEDIAPIPE_33 = Skeleton(
    name="mediapipe_33",
    joints=(
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "mouth_left", "mouth_right",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_foot_index", "right_foot_index",
    ),
    parents=(
        0, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16,
        11, 12, 23, 24, 25, 26, 27, 28, 27, 28,
    ),
    centre=23,
)  # fmt: skip
"""The pose landmarks of MediaPipe, centred on the left hip as COCO's."""

AZURE_KINECT = Skeleton(
    name="azure_kinect",
    joints=(
        "pelvis", "spine_navel", "spine_chest", "neck",
        "clavicle_left", "shoulder_left", "elbow_left", "wrist_left", "hand_left", "handtip_left", "thumb_left",
        "clavicle_right", "shoulder_right", "elbow_right", "wrist_right", "hand_right", "handtip_right", "thumb_right",
        "hip_left", "knee_left", "ankle_left", "foot_left", "hip_right", "knee_right", "ankle_right", "foot_right",
        "head", "nose", "eye_left", "ear_left", "eye_right", "ear_right",
    ),
    parents=(
        0, 0, 1, 2, 2, 4, 5, 6, 7, 8, 7, 2, 11, 12, 13, 14, 15, 14,
        0, 18, 19, 20, 0, 22, 23, 24, 3, 26, 26, 26, 26, 26,
    ),
    centre=1,
)  # fmt: skip
"""The joints of Azure Kinect body tracking, centred low on the spine as those of Kinect v1 and v2."""

SKELETONS = {skeleton.name: skeleton for skeleton in (KINECT_V1, KINECT_V2, AZURE_KINECT, COCO_17, MEDIAPIPE_33)}
