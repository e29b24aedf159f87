"""What bodies measure, and whether they can be persons in the units that are stated. Pure; lengths are in metres.

A wrong unit, an image's coordinates or 2D input is no damage that a parser could see: every number is fine. It shows
in the size of the bodies. Where a skeleton's joints have the names of a person's, the lengths of arms, legs and torso
give a stature; for other skeletons (a hand, joints without names) only their extent is known.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.models.body_sizes import COUNTS, STATURES, count_key, length_key
from mamp_schemas.models.layout import METRES_PER_UNIT, Layout, PlausibilityFinding
from mamp_schemas.models.skeleton import Skeleton

MAX_RECORDS = 64
"""Records of a file that are measured, spread evenly over it."""

ADULT_STATURE = 1.75
_SEGMENTS = {
    ("shoulder", "elbow"): 0.33,
    ("elbow", "wrist"): 0.26,
    ("hip", "knee"): 0.43,
    ("knee", "ankle"): 0.43,
}
_TORSO = 0.50
"""Lengths in metres of an adult of `ADULT_STATURE`: segments of either side, and shoulders to hips."""
MIN_SEGMENTS = 3
"""Segments from which a stature is estimated; a skeleton that has fewer by name is not taken for a person's."""

_PARTS = {
    "shoulder": ("shoulder", "upperarm"),
    "elbow": ("elbow", "forearm", "lowerarm"),
    "wrist": ("wrist", "hand"),
    "hip": ("hip", "upleg", "thigh", "upperleg"),
    "knee": ("knee", "calf", "shin", "lowerleg"),
    "ankle": ("ankle", "foot"),
}
"""What a part's joint may be called, the best first; the side is added before or after."""


Segment = tuple[tuple[int, int], tuple[int, int], float]
"""Two joints whose mean is one end (twice the same for one joint), two for the other, an adult's length in metres."""


@cache
def person_segments(skeleton: Skeleton) -> tuple[Segment, ...]:
    """Return the segments of a person that a skeleton's joint names give.

    Returns:
        Empty if the names give fewer than `MIN_SEGMENTS`.
    """
    names = [re.sub("[^a-z]", "", name.casefold()) for name in skeleton.joints]
    found = {(part, side): _find_joint(names, part, side) for part in _PARTS for side in ("left", "right")}
    segments: list[Segment] = [
        ((first, first), (second, second), length)
        for side in ("left", "right")
        for (upper, lower), length in _SEGMENTS.items()
        if (first := found[upper, side]) is not None and (second := found[lower, side]) is not None
    ]
    left, right = ((found["shoulder", side], found["hip", side]) for side in ("left", "right"))
    if left[0] is not None and left[1] is not None and right[0] is not None and right[1] is not None:
        segments.append(((left[0], right[0]), (left[1], right[1]), _TORSO))
    return tuple(segments) if len(segments) >= MIN_SEGMENTS else ()


def _find_joint(names: list[str], part: str, side: str) -> int | None:
    for word in _PARTS[part]:
        for form in (side + word, word + side, side[0] + word, word + side[0]):
            if form in names:
                return names.index(form)
    return None


@dataclass(frozen=True, slots=True)
class BodyMeasures:
    """What the bodies of a clip measure: medians over `records` of its frames, in metres.

    Attributes:
        stature: from the lengths of arms, legs and torso; NaN where joint names do not tell them.
        span: the largest extent along an axis.
        bone: the length of a bone.
        depth: the smallest extent along an axis, as a share of the span.
        constant: the axes (0 to 2) on which the joints of a record are all at one number, in every record.
        unit_square: the share of positions whose first two raw coordinates are from 0 to 1.
        joints, zeros, coincident: positions; those at (0, 0, 0); those exactly where another joint is.
        torso_up: how far the shoulders are above the hips along the second axis; NaN where names do not tell them.
        still: whether several records are there and all are the same.
        image_hips: whether the hips are in an image, and at depth 0, below the shoulders in an image's direction, as in
            MediaPipe's image landmarks.
    """

    stature: float
    span: float
    bone: float
    depth: float
    constant: tuple[int, ...]
    unit_square: float
    joints: int
    zeros: int
    coincident: int
    torso_up: float
    still: bool
    image_hips: bool


@np.errstate(over="ignore", invalid="ignore")  # numbers near float64's end are measured as infinite
def measure_bodies(
    xyz: NDArray[np.floating], skeleton: Skeleton, units_per_metre: float = 1.0, records: int = MAX_RECORDS
) -> BodyMeasures | None:
    """Measure bodies; None where there is no position.

    Args:
        xyz: (B, V, 3) records of any bodies in any units, not finite where missing; zeros are missing, too.
        skeleton: the joints.
        units_per_metre: how many of the units make a metre.
        records: how many records to measure, spread evenly.
    """
    if len(xyz) > records:
        xyz = xyz[np.linspace(0, len(xyz) - 1, records).astype(np.int64)]
    raw = np.array(xyz, dtype=np.float64)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(raw).all(axis=2))
    raw[~known] = np.nan
    at_zero: NDArray[np.bool_] = np.asarray(known & ~raw.any(axis=2))
    coincident = _count_coincident(raw, known)
    known = np.asarray(known & ~at_zero)
    keep: NDArray[np.bool_] = np.asarray(known.sum(axis=1) >= 2)
    if not keep.any():
        return None
    square: NDArray[np.bool_] = np.asarray(((raw[..., :2] >= 0) & (raw[..., :2] <= 1)).all(axis=2))
    still = len(raw) > 1 and bool((raw == raw[0]).all())
    metres, seen = raw[keep] / units_per_metre, known[keep]
    high = np.where(seen[..., None], metres, -np.inf).max(axis=1)
    extents = high - np.where(seen[..., None], metres, np.inf).min(axis=1)
    spans = extents.max(axis=1)
    gaps = np.where(seen[..., None], metres, np.nan)
    bones = np.linalg.norm(gaps - gaps[:, skeleton.parents], axis=2)
    bones = bones[:, [joint != parent for joint, parent in enumerate(skeleton.parents)]]
    stature, torso_up = _stature_and_posture(gaps, skeleton)
    return BodyMeasures(
        stature=stature,
        span=_median(spans),
        bone=_median(bones),
        depth=_median(extents.min(axis=1) / np.where(spans > 0, spans, 1)),
        constant=tuple(np.flatnonzero((extents == 0).all(axis=0)).tolist()),
        unit_square=float(square[known].mean()),
        joints=int(known.sum() + at_zero.sum()),
        zeros=int(at_zero.sum()),
        coincident=coincident,
        torso_up=torso_up,
        still=still,
        image_hips=torso_up < 0 and _are_image_hips(gaps * units_per_metre, skeleton),
    )


def _are_image_hips(raw: NDArray[np.float64], skeleton: Skeleton) -> bool:
    """Return whether the middle of the hips of (R, V, 3) is where image landmarks have it.

    Their depth begins there, and their x and y are from 0 to 1 inside the image, however much of the body is outside.
    World landmarks begin there in all three coordinates.
    """
    lower = [below for _, below, adult in person_segments(skeleton) if adult == _TORSO]
    if not lower:
        return False
    hips = raw[:, lower[0]].mean(axis=1)
    x, y, z = (_median(hips[:, axis]) for axis in range(3))
    return 0 <= x <= 1 and 0 <= y <= _IMAGE_HIPS and abs(z) < _AT_DEPTH_0 and max(x, y) > _FROM_ORIGIN


def _median(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def _count_coincident(raw: NDArray[np.float64], known: NDArray[np.bool_]) -> int:
    """Count the joints of (B, V, 3) that are exactly where one before them is."""
    values = np.where(known[..., None], raw, np.nan)
    # Joints are compared in the order of x: equal positions are adjacent but for ties in x alone.
    order = np.lexsort((values[..., 2], values[..., 1], values[..., 0]), axis=1)
    ordered = np.take_along_axis(values, order[..., None], axis=1)
    return int((ordered[:, 1:] == ordered[:, :-1]).all(axis=2).sum())


def _stature_and_posture(metres: NDArray[np.float64], skeleton: Skeleton) -> tuple[float, float]:
    """Return an adult's stature times the ratio of the segments' lengths to an adult's, and `torso_up`."""
    along, adult = _segment_vectors(metres, skeleton)
    if not len(adult):
        return float("nan"), float("nan")
    lengths = np.sqrt(np.square(along).sum(axis=2))
    medians = (
        np.median(lengths, axis=0)
        if np.isfinite(lengths).all()
        else np.array([_median(column) for column in lengths.T])
    )
    known = np.isfinite(medians)
    stature = ADULT_STATURE * float(medians[known].sum() / adult[known].sum()) if known.any() else float("nan")
    torso = np.flatnonzero(adult == _TORSO)
    return stature, _median(along[:, torso[0], 1]) if len(torso) else float("nan")


def _segment_vectors(
    metres: NDArray[np.float64], skeleton: Skeleton
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R, S, 3) from the lower to the upper end of each segment, and (S,) an adult's lengths."""
    segments = person_segments(skeleton)
    if not segments:
        return np.zeros((len(metres), 0, 3)), np.zeros(0)
    upper, lower, adult = (np.array(values) for values in zip(*segments, strict=True))
    # An end of two joints is their mean.
    along = (metres[:, upper[:, 0]] + metres[:, upper[:, 1]] - metres[:, lower[:, 0]] - metres[:, lower[:, 1]]) / 2
    return along, adult


_ALONG_Z = 1.5
"""A torso stands along z if it is so many times as long in z as in x and y: leaning forward is not enough."""


def sample_records(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first, the middle and the last of (B, V, 3) records, of which `count_sizes` measures the middle."""
    return joints[[0, len(joints) // 2, -1]]


def count_sizes(samples: Sequence[NDArray[np.float32]], frames: Sequence[int], skeleton: Skeleton) -> Counter[str]:
    """Return what clips add to the counts that `BodySizes` is made of; all at once, since each takes microseconds.

    Args:
        samples: `sample_records` of each clip, in the store's units and axes.
        frames: of each clip.
        skeleton: the joints.
    """
    counts = Counter[str]()
    if not samples:
        return counts
    records = np.stack(samples).astype(np.float64)
    middle = records[:, 1]
    zeros: NDArray[np.bool_] = np.asarray(~middle.any(axis=2))
    seen = ~zeros.all(axis=1)
    middle, zeros = middle[seen], zeros[seen]
    coincident = _count_coincident(middle, np.ones_like(zeros))
    metres = np.where(zeros[..., None], np.nan, middle)
    along, adult = _segment_vectors(metres, skeleton)
    lengths = np.sqrt(np.square(along).sum(axis=2))
    weights = np.where(np.isfinite(lengths), adult, 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        statures = ADULT_STATURE * np.nansum(lengths, axis=1) / weights
    bones = np.sqrt(np.square(metres - metres[:, skeleton.parents]).sum(axis=2))
    high, low = (np.where(zeros[..., None], fill, middle) for fill in (-np.inf, np.inf))
    spans = (high.max(axis=1) - low.min(axis=1)).max(axis=1)
    bones = np.median(
        np.nan_to_num(bones[:, [joint != parent for joint, parent in enumerate(skeleton.parents)]]), axis=1
    )
    for name, values in (("stature", statures), ("span", spans), ("bone", bones)):
        counts.update(key for length in values.tolist() if (key := length_key(name, length)))
    torso = along[:, adult == _TORSO]
    up, depth = torso[..., 1], torso[..., 2]
    upright_z = np.abs(depth) > _ALONG_Z * np.sqrt(np.square(torso[..., :2]).sum(axis=2))
    still = (records == records[:, :1]).all(axis=(1, 2, 3)) & (np.asarray(frames) > 1)
    postures = ((up > 0).sum(), (up < 0).sum())
    along_z = ((upright_z & (depth > 0)).sum(), (upright_z & (depth < 0)).sum())
    numbers = (len(middle), zeros.size, zeros.sum(), coincident, *postures, still.sum(), *along_z)
    counts.update({count_key(name): int(number) for name, number in zip(COUNTS, numbers, strict=True)})
    return counts


PREFIX = "implausible: "
"""How the reasons begin for which a file cannot be of persons; an ingest counts them."""

ONLY_3D = (
    "2D input cannot be used yet, only positions in space (x, y and z): lift it to 3D first, or take the pose "
    "estimator's 3D output (of MediaPipe, pose_world_landmarks)"
)

_PERSON_STATURE = (0.5, 2.6)
"""Statures in metres that a person can have, from an infant's on."""
_PERSON_SPAN = 1.9
"""A body with a stature above `_PERSON_STATURE` is refused if it is larger than this, too: bones of noisy joints are
long, but the body is not large."""
_ANY_SPAN = (0.03, 10.0)
"""Extents in metres that a body of another skeleton can have: a mouse, a hand, an elephant."""
_LIKELY_SPAN = (0.3, 3.0)
_FLAT = 0.01
MIN_JOINTS = 8
"""Fewer joints are no person: they may be in a plane, at one position, and of any size."""
_SQUARE_SHARE = 0.9
_IMAGE_DEPTH = 1.2
_COINCIDENT_SHARE = 0.75
_IMAGE_HIPS, _AT_DEPTH_0, _FROM_ORIGIN = 1.5, 0.03, 0.15
"""Of image landmarks: where the hips are at the lowest, how near their depth is to 0, and how far they are from the
image's corner."""
_IMAGE = (
    "x and y are from 0 to 1, as in an image: these are no positions in space (of MediaPipe, take "
    "pose_world_landmarks, which are metres)"
)


def find_implausible(measures: BodyMeasures, layout: Layout) -> str:
    """Return why bodies cannot be persons as the layout describes them, with figures; empty if they can.

    Args:
        measures: of the bodies of a file, in the metres that the layout's units give.
        layout: says the units, and which findings to accept.
    """
    if len(layout.skeleton.joints) < MIN_JOINTS:
        return ""
    findings: dict[PlausibilityFinding, Callable[[], str]] = {
        "flat": lambda: _find_flat(measures),
        "coincident": lambda: _find_coincident(measures),
        "size": lambda: _find_size(measures, layout),
        "image": lambda: _find_image(measures, layout),
    }
    for name, find in findings.items():
        reason = "" if name in (layout.accept or ()) else find()
        if reason:
            return f"{PREFIX}{reason}. If the numbers are right, put `accept: [{name}]` into the layout"
    return ""


def _find_flat(measures: BodyMeasures) -> str:
    if len(measures.constant) == 3:
        return "all joints of a frame are at one position, in every frame"
    if measures.constant:
        axes = " and ".join("xyz"[axis] for axis in measures.constant)
        return f"{axes} is the same for all joints of a frame, in every frame: {ONLY_3D}"
    if measures.depth < _FLAT:
        return f"bodies are flat, {100 * measures.depth:.2g} % as deep as they are large: {ONLY_3D}"
    return ""


def _find_coincident(measures: BodyMeasures) -> str:
    for count, what in ((measures.zeros, "at (0, 0, 0)"), (measures.coincident, "exactly where another joint is")):
        if count > _COINCIDENT_SHARE * measures.joints:
            return f"{100 * count / measures.joints:.0f} % of the joints are {what}"
    return ""


def _find_size(measures: BodyMeasures, layout: Layout) -> str:
    if layout.units not in METRES_PER_UNIT or _fits(measures, 1.0, _ANY_SPAN):
        return ""
    lengths = {"median stature": measures.stature, "largest extent": measures.span, "bone": measures.bone}
    figures = ", ".join(f"{name} {_format(length)} m" for name, length in lengths.items() if np.isfinite(length))
    return f"no person in {layout.units} measures that: {figures}; {_explain_size(measures, layout)}"


def _explain_size(measures: BodyMeasures, layout: Layout) -> str:
    """Return what the numbers look like instead."""
    factors = {unit: layout.metres_per_unit / factor for unit, factor in METRES_PER_UNIT.items()}
    likely = [unit for unit, factor in factors.items() if _fits(measures, factor, _LIKELY_SPAN)]
    if measures.unit_square >= _SQUARE_SHARE:
        return _IMAGE
    if likely:
        stature = measures.stature * factors[likely[0]]
        if stature < STATURES[0]:  # an infant, or inches taken for centimetres
            return f"in {likely[0]} the stature is {_format(stature)} m: `units: {likely[0]}`, if that is right"
        return "these look like " + " or ".join(f"{unit}: `units: {unit}`" for unit in likely)
    small = max(measures.span, np.nan_to_num(measures.stature)) < _PERSON_STATURE[0]
    return (
        f"the numbers may be {'' if small else 'pixels, or '}scaled: `units: normalised` for scaled positions in space"
    )


def _format(length: float) -> str:
    return f"{length:,.0f}" if length >= 100 else f"{length:.2g}"


def _fits(measures: BodyMeasures, factor: float, span: tuple[float, float]) -> bool:
    """Return whether bodies can be persons, or with other joints anything alive, with all lengths times a factor."""
    if not np.isfinite(measures.stature):
        return span[0] <= measures.span * factor <= span[1]
    stature, extent = measures.stature * factor, measures.span * factor
    too_large = stature > _PERSON_STATURE[1] and extent > _PERSON_SPAN
    return max(stature, extent) >= _PERSON_STATURE[0] and not too_large


def _find_image(measures: BodyMeasures, layout: Layout) -> str:
    """Return why positions are an image's: x and y from 0 to 1, and no body that stands upright along z."""
    small = not np.isfinite(measures.stature) and measures.span < _LIKELY_SPAN[0]
    if layout.units != "metres" or small:
        return ""
    if measures.image_hips:
        return (
            "x and y of the hips are from 0 to 1 and their z is 0, as in an image: these are MediaPipe's image "
            "landmarks, it seems, which are no positions in space: take pose_world_landmarks, which are metres"
        )
    if measures.unit_square < _SQUARE_SHARE or measures.span > _IMAGE_DEPTH:
        return ""
    return (
        f"{_IMAGE}, with a largest extent of {measures.span:.2g}; for coordinates that are scaled on purpose, "
        "`units: normalised`"
    )
