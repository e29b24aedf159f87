"""One clip as the viewer, the pictures and the summary show it: its rows, and what a network sees of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import index_rows
from mamp_pipeline.report.counts import class_names, label_name
from mamp_pipeline.report.measures import Jumps, find_jumps, step_lengths
from mamp_pipeline.report.sample import Crop, centre_crop, resize_crop
from mamp_pipeline.report.tokens import paper_masking, token_intensity
from mamp_pipeline.store.read import Store
from mamp_schemas.classes import class_names as names_of
from mamp_schemas.errors import StoreError
from mamp_schemas.protocols import Split
from mamp_schemas.recipe_specs import MaskingSpec, ModelSpec, SamplingSpec

KINECT_FPS = 30.0
SHOWN_NUMBERS = ("setup", "camera", "subject", "replication")
FRAMES, SEGMENT, TEST_CROP = ModelSpec().frames, ModelSpec().segment, SamplingSpec().test_crop
"""T, l and p of a test sample, as the paper has them."""


@dataclass(frozen=True)
class ClipView:
    """A clip to be shown: M bodies, F frames, V joints; Te segments in its sample of T frames.

    Attributes:
        label: its class, as the files of its dataset write it.
        action: what that class is called; empty where it has no label.
        numbers: setup, camera and so on, those that are known.
        sides: by protocol, where the clip's columns tell.
        joints: (M, F, V, 3) float32, metres.
        intensity: (M, F, V) float32, as stored, metres.
        crop: the frames of which the sample is made.
        tokens: (M, Te, V) float32, each sample's intensity by token (eq. 4), metres.
        masking: ratio and τ to begin with.
        jumps: of the rows, body after body.
        fps: frames per second, 30 where the store does not tell.
    """

    id: str
    label: str
    action: str
    numbers: dict[str, int]
    sides: dict[str, Split]
    valid_frames: int
    joints: NDArray[np.float32]
    intensity: NDArray[np.float32]
    crop: Crop
    tokens: NDArray[np.float32]
    masking: MaskingSpec
    jumps: Jumps
    fps: float

    @property
    def title(self) -> str:
        """The class's number and name, or one of the two where the other says no more."""
        return self.label if self.action in ("", self.label) else f"{self.label} {self.action}"


def find_clip(store: Store, clip: str) -> int:
    """Return a clip's place in the store.

    Raises:
        StoreError: the store has no such clip; names those that come nearest.
    """
    try:
        return store.ids.index(clip)
    except ValueError:
        alike = [name for name in store.ids if clip.lower() in name.lower()][:3] or store.ids[:3]
        raise StoreError(
            f"{store.path}: no clip '{clip}' among its {len(store.ids):,}",
            remedy=f"Its clips have names such as: {', '.join(alike)}" if alike else "The store holds no clips.",
        ) from None


def view_clip(store: Store, clip: int) -> ClipView:
    """Read a clip, and make its test sample's tokens.

    Args:
        store: where it is.
        clip: its place there.

    Raises:
        DamagedStoreError: its rows cannot be read.
    """
    column = {name: int(store.columns[name][clip]) for name in (*SHOWN_NUMBERS, "first_row", "frames", "bodies", "label")}
    frames, bodies, first = column["frames"], column["bodies"], column["first_row"]
    valid_frames = int(store.columns["valid_frames"][clip])
    rows = store.read_rows("joints", first, first + frames * bodies)
    intensity = store.read_rows("intensity", first, first + frames * bodies)
    joints = rows.reshape(bodies, frames, *rows.shape[1:])
    places = index_rows(np.array([frames]), np.array([bodies]))
    crop = centre_crop(valid_frames, TEST_CROP)
    return ClipView(
        id=store.ids[clip],
        label=label_name(class_names(store.metadata), column["label"]),
        action=_action_name(store, column["label"]),
        numbers={name: column[name] for name in SHOWN_NUMBERS if column[name] >= 0},
        sides=_clip_splits(store, clip),
        valid_frames=valid_frames,
        joints=joints,
        intensity=intensity.reshape(joints.shape[:3]),
        crop=crop,
        tokens=np.stack([token_intensity(body, SEGMENT) for body in resize_crop(joints, crop, FRAMES)]).astype(np.float32),
        masking=paper_masking(store.metadata.dataset),
        jumps=find_jumps(step_lengths(rows, places), places),
        fps=(store.metadata.layout.fps if store.metadata.layout else None) or KINECT_FPS,
    )


def _action_name(store: Store, label: int) -> str:
    return names_of(store.metadata.dataset, store.metadata.layout)[label] if label >= 0 else ""


def _clip_splits(store: Store, clip: int) -> dict[str, Split]:
    sides: dict[str, Split] = {}
    for protocol in store.metadata.dataset_spec().protocols:
        value = int(store.columns[protocol.column][clip])
        side = protocol.split_of(value) if value >= 0 else None
        if side:
            sides[protocol.name] = side
    return sides
