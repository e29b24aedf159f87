"""A clip in a few lines of text, and the same as plain data. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.clip import FRAMES, ClipView
from mamp_pipeline.report.tokens import masking_probability
from mamp_schemas.skeleton import Skeleton

_BARS = "▁▂▃▄▅▆▇█"
MAX_JOINTS_LISTED = 4
MAX_JUMPS_LISTED = 4


def clip_summary(view: ClipView, skeleton: Skeleton) -> dict[str, Any]:
    """Return what the summary tells, as plain data; intensities in metres, frames and bodies counted from 1."""
    bodies, frames = view.joints.shape[:2]
    by_joint = view.intensity.mean(axis=(0, 1), dtype=np.float64)
    tokens = view.tokens[0].size
    return {
        "clip": view.id,
        "class": view.label,
        "action": view.action,
        **view.numbers,
        "sides": view.sides,
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
    facts = clip_summary(view, skeleton)
    most = sorted(facts["joint_intensity"].items(), key=lambda entry: -entry[1])[:MAX_JOINTS_LISTED]
    moving = ", ".join(f"{joint} {metres * 100:.1f}" for joint, metres in most)
    mask, (first, last) = facts["masking"], facts["crop"]
    lines = [
        ("clip", view.id),
        ("class", ", ".join((*_class_of(view), *(f"{name} {number}" for name, number in view.numbers.items())))),
        ("sides", ", ".join(f"{protocol} {side}" for protocol, side in view.sides.items()) or "none known"),
        ("frames", f"{facts['frames']}, {facts['valid_frames']} of them valid; bodies: {facts['bodies']}"),
        ("intensity", f"{facts['mean_intensity'] * 100:.1f} cm, most: {moving}"),
        ("jumps", _jumps_text(facts["jumps"])),
        ("sample", f"frames {first} to {last}, resized to {FRAMES}; intensity of its {view.tokens.shape[1]} segments:"),
    ]
    for body, segments in enumerate(facts["segment_intensity"], start=1):
        lines.append((f"  body {body}", f"{sparkline(np.array(segments))}  up to {max(segments) * 100:.1f} cm"))
    hidden = f"{mask['hidden']} of {mask['tokens']} tokens hidden at ratio {mask['ratio']:g}, τ {mask['temperature']:g}"
    ranges = "; ".join(f"{low:.3%} to {high:.3%}" for low, high in mask["probability"])
    return [*lines, ("masking", f"{hidden}; probability of a token {ranges}")]


def _class_of(view: ClipView) -> tuple[str, ...]:
    """Return a clip's class, and what it is called where that says more."""
    return (view.label,) if view.action in ("", view.label) else (view.label, view.action)


def sparkline(values: NDArray[np.float64]) -> str:
    """Return a bar of one character for each value, the tallest for the largest."""
    steps = np.floor(values / (values.max() or 1.0) * (len(_BARS) - 1) + 0.5).astype(int)
    return "".join(_BARS[step] for step in steps.tolist())


def _probability_range(intensity: NDArray[np.float32], temperature: float) -> tuple[float, float]:
    probability = masking_probability(intensity.astype(np.float64), temperature)
    return float(probability.min()), float(probability.max())


def _jumps_text(jumps: list[dict[str, Any]]) -> str:
    told = [
        f"body {jump['body']} frame {jump['frame']}: {jump['joint']} {jump['metres']:.2f} m"
        for jump in jumps[:MAX_JUMPS_LISTED]
    ]
    more = len(jumps) - len(told)
    return "; ".join((*told, *([f"and {more} more"] if more else []))) or "none"
