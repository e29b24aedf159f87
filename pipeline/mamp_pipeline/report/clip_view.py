"""One clip as the viewer, the figures and the text summary show it, with the sample that a network sees in testing.

The sample is a centred crop, resized to T frames and masked as in the paper.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import index_rows, masking_probability, token_intensity
from mamp_pipeline.report.counts import class_names, label_name
from mamp_pipeline.report.html import encode_base64, quantise
from mamp_pipeline.report.quality import Jumps, find_jumps, step_lengths
from mamp_schemas.errors import StoreError
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import ModelSpec, SamplingSpec
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.splits import Split

KINECT_FPS = 30.0
SHOWN_NUMBERS = ("setup", "camera", "subject", "replication")
FRAMES, SEGMENT, TEST_CROP = ModelSpec().frames, ModelSpec().segment, SamplingSpec().test_crop
"""T, l and p of a test sample, as in the paper."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The frames [start, start + length) of a clip."""

    start: int
    length: int


def centre_crop(valid_frames: int, share: float) -> Crop:
    """Return the centred crop of a clip's valid frames: int((1 − p) · Tv / 2) frames are cut off at both ends.

    Args:
        valid_frames: Tv, at least 1.
        share: p.
    """
    cut = int((1 - share) * valid_frames / 2)
    return Crop(cut, valid_frames - 2 * cut)


def resize_crop(joints_MTVC: NDArray[np.float32], crop: Crop, frames: int) -> NDArray[np.float32]:
    """Resize a crop to T frames: linear, half-pixel centres, edges clamped.

    As in the authors' code, each rounded to float32 once: the coordinates in time, fma(scale, i + ½, -½), and the
    interpolation, fma(1 - w, x_before, w · x_after). Products of float32 numbers are exact in float64.

    Args:
        joints_MTVC: (M, F, V, 3) metres.
        crop: which of the F frames.
        frames: T.

    Returns:
        (M, T, V, 3) float32.
    """
    scale = np.float64(np.float32(crop.length) / np.float32(frames))
    source = np.maximum((scale * (np.arange(frames) + 0.5) - 0.5).astype(np.float32), np.float32(0))
    before = np.minimum(source.astype(np.int64), crop.length - 1)
    after = np.minimum(before + 1, crop.length - 1)
    weight = (source - before.astype(np.float32))[:, None, None]
    first, second = joints_MTVC[:, crop.start + before], joints_MTVC[:, crop.start + after]
    return np.asarray((1 - weight).astype(np.float64) * first + weight * second, dtype=np.float32)


def paper_masking(dataset: DatasetSpec) -> MaskingSpec:
    """Return ratio and τ as the paper sets them for a dataset."""
    return MaskingSpec(temperature=dataset.masking_temperature)


@dataclass(frozen=True)
class ClipView:
    """A clip to be shown: M bodies, F frames, V joints; Te segments in its sample of T frames.

    Attributes:
        label: its class, as the files of its dataset write it.
        action: the name of that class; empty if the clip has no label.
        numbers: setup, camera and so on, as far as known.
        splits: train or test by protocol, as far as the clip's columns say.
        joints: (M, F, V, 3) float32, metres.
        intensity: (M, F, V) float32, as stored, metres.
        crop: the frames of the sample.
        tokens: (M, Te, V) float32, the intensity of each token of the sample (eq. 4), metres.
        masking: the ratio and τ that the viewer starts with.
        jumps: of the rows, body after body.
        fps: frames per second, 30 if the store does not say.
    """

    id: str
    label: str
    action: str
    numbers: dict[str, int]
    splits: dict[str, Split]
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
        """The class's number and name, or the number alone if there is no other name."""
        return self.label if self.action in ("", self.label) else f"{self.label} {self.action}"


def find_clip(store: Store, clip: str) -> int:
    """Return the index of a clip in the store.

    Raises:
        StoreError: the store has no such clip; names similar ones.
    """
    try:
        return store.ids.index(clip)
    except ValueError:
        similar = [name for name in store.ids if clip.lower() in name.lower()][:3] or store.ids[:3]
        raise StoreError(
            f"{store.path}: no clip '{clip}' among its {len(store.ids):,}",
            remedy=f"Its clips have names such as: {', '.join(similar)}" if similar else "The store holds no clips.",
        ) from None


def view_clip(store: Store, clip: int) -> ClipView:
    """Read a clip and compute the tokens of its test sample.

    Args:
        store: the store.
        clip: its index there.

    Raises:
        DamagedStoreError: its rows cannot be read.
    """
    column = {
        name: int(store.columns[name][clip]) for name in (*SHOWN_NUMBERS, "first_row", "frames", "bodies", "label")
    }
    frames, bodies, first = column["frames"], column["bodies"], column["first_row"]
    valid_frames = int(store.columns["valid_frames"][clip])
    rows = store.read_rows("joints", first, first + frames * bodies)
    intensity = store.read_rows("intensity", first, first + frames * bodies)
    joints = rows.reshape(bodies, frames, *rows.shape[1:])
    index = index_rows(np.array([frames]), np.array([bodies]))
    crop = centre_crop(valid_frames, TEST_CROP)
    return ClipView(
        id=store.ids[clip],
        label=label_name(class_names(store.metadata), column["label"]),
        action=_action_name(store, column["label"]),
        numbers={name: column[name] for name in SHOWN_NUMBERS if column[name] >= 0},
        splits=_clip_splits(store, clip),
        valid_frames=valid_frames,
        joints=joints,
        intensity=intensity.reshape(joints.shape[:3]),
        crop=crop,
        tokens=np.stack([token_intensity(body, SEGMENT) for body in resize_crop(joints, crop, FRAMES)]).astype(
            np.float32
        ),
        masking=paper_masking(store.metadata.dataset_spec()),
        jumps=find_jumps(step_lengths(rows, index), index),
        fps=(store.metadata.layout.fps if store.metadata.layout else None) or KINECT_FPS,
    )


def _action_name(store: Store, label: int) -> str:
    return store.metadata.dataset_spec().class_names[label] if label >= 0 else ""


def _clip_splits(store: Store, clip: int) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for protocol in store.metadata.dataset_spec().protocols:
        value = int(store.columns[protocol.column][clip])
        split = protocol.split_of(value) if value >= 0 else None
        if split:
            splits[protocol.name] = split
    return splits


COLOUR_QUANTILE = 0.99
"""The quantile of a clip's intensity with the lightest colour: with the maximum, one jump would darken the rest."""


def pack_clip(view: ClipView, skeleton: Skeleton) -> dict[str, Any]:
    """Return a clip for the viewer, about 10 kB for 100 frames of a body of 25 joints.

    Positions are rounded to 1/32767 of the clip's extent and intensities to 1/255 of the lightest colour's, which is
    finer than a screen shows. The tokens' intensities, from which masks are drawn, stay float32.
    """
    extent, joints = quantise(view.joints)
    largest = float(np.quantile(view.intensity, COLOUR_QUANTILE)) or 1.0
    frames = view.joints.shape[1]
    return {
        "id": view.id,
        "label": view.title,
        "numbers": view.numbers,
        "frames": frames,
        "valid": view.valid_frames,
        "bodies": len(view.joints),
        "extent": extent,
        "joints": joints,
        "largest": largest,
        "intensity": encode_base64(np.round(np.minimum(view.intensity / largest, 1) * 255).astype(np.uint8)),
        "sample": {
            "start": view.crop.start,
            "length": view.crop.length,
            "frames": FRAMES,
            "segment": SEGMENT,
            "share": TEST_CROP,
        },
        "tokens": encode_base64(view.tokens.astype("<f4")),
        "fps": view.fps,
        "ratio": view.masking.ratio,
        "temperature": view.masking.temperature,
        "jumps": [
            {"body": row // frames, "frame": row % frames, "joint": skeleton.joints[joint], "metres": round(metres, 3)}
            for row, joint, metres in zip(
                view.jumps.row.tolist(), view.jumps.joint.tolist(), view.jumps.metres.tolist(), strict=True
            )
        ],
    }


_BARS = "▁▂▃▄▅▆▇█"
MAX_JOINTS_LISTED = 4
MAX_JUMPS_LISTED = 4


def clip_summary(view: ClipView, skeleton: Skeleton) -> dict[str, Any]:
    """Return the summary as plain data; intensities in metres, frames and bodies counted from 1."""
    bodies, frames = view.joints.shape[:2]
    by_joint = view.intensity.mean(axis=(0, 1), dtype=np.float64)
    tokens = view.tokens[0].size
    return {
        "clip": view.id,
        "class": view.label,
        "action": view.action,
        **view.numbers,
        "sides": view.splits,
        "frames": frames,
        "valid_frames": view.valid_frames,
        "bodies": bodies,
        "mean_intensity": float(by_joint.mean()),
        "joint_intensity": dict(zip(skeleton.joints, by_joint.tolist(), strict=True)),
        "segment_intensity": view.tokens.mean(axis=2, dtype=np.float64).tolist(),
        "crop": [view.crop.start + 1, view.crop.start + view.crop.length],
        "masking": {
            "ratio": view.masking.ratio,
            "temperature": view.masking.temperature,
            "tokens": tokens,
            "hidden": tokens - int(tokens * (1 - view.masking.ratio)),
            "probability": [_probability_range(body, view.masking.temperature) for body in view.tokens],
        },
        "jumps": [
            {"body": row // frames + 1, "frame": row % frames + 1, "joint": skeleton.joints[joint], "metres": metres}
            for row, joint, metres in zip(
                view.jumps.row.tolist(), view.jumps.joint.tolist(), view.jumps.metres.tolist(), strict=True
            )
        ],
    }


def summary_lines(view: ClipView, skeleton: Skeleton) -> list[tuple[str, str]]:
    """Return (name, text) of each line of the summary."""
    summary = clip_summary(view, skeleton)
    most = sorted(summary["joint_intensity"].items(), key=lambda entry: -entry[1])[:MAX_JOINTS_LISTED]
    moving = ", ".join(f"{joint} {metres * 100:.1f}" for joint, metres in most)
    mask, (first, last) = summary["masking"], summary["crop"]
    lines = [
        ("clip", view.id),
        ("class", ", ".join((*_class_of(view), *(f"{name} {number}" for name, number in view.numbers.items())))),
        ("splits", ", ".join(f"{protocol} {split}" for protocol, split in view.splits.items()) or "none known"),
        ("frames", f"{summary['frames']}, {summary['valid_frames']} of them valid; bodies: {summary['bodies']}"),
        ("intensity", f"{summary['mean_intensity'] * 100:.1f} cm, most: {moving}"),
        ("jumps", _jumps_text(summary["jumps"])),
        ("sample", f"frames {first} to {last}, resized to {FRAMES}; intensity of its {view.tokens.shape[1]} segments:"),
    ]
    for body, segments in enumerate(summary["segment_intensity"], start=1):
        lines.append((f"  body {body}", f"{sparkline(np.array(segments))}  up to {max(segments) * 100:.1f} cm"))
    masked = f"{mask['hidden']} of {mask['tokens']} tokens masked at ratio {mask['ratio']:g}, τ {mask['temperature']:g}"
    ranges = "; ".join(f"{low:.3%} to {high:.3%}" for low, high in mask["probability"])
    return [*lines, ("masking", f"{masked}; probability of a token {ranges}")]


def _class_of(view: ClipView) -> tuple[str, ...]:
    """Return a clip's class, and the name of the class if that is another one."""
    return (view.label,) if view.action in ("", view.label) else (view.label, view.action)


def sparkline(values: NDArray[np.float64]) -> str:
    """Return a bar of one character for each value, the tallest for the largest."""
    steps = np.floor(values / (values.max() or 1.0) * (len(_BARS) - 1) + 0.5).astype(int)
    return "".join(_BARS[step] for step in steps.tolist())


def _probability_range(intensity: NDArray[np.float32], temperature: float) -> tuple[float, float]:
    probability = masking_probability(intensity.astype(np.float64), temperature)
    return float(probability.min()), float(probability.max())


def _jumps_text(jumps: list[dict[str, Any]]) -> str:
    texts = [
        f"body {jump['body']} frame {jump['frame']}: {jump['joint']} {jump['metres']:.2f} m"
        for jump in jumps[:MAX_JUMPS_LISTED]
    ]
    more = len(jumps) - len(texts)
    return "; ".join((*texts, *([f"and {more} more"] if more else []))) or "none"
