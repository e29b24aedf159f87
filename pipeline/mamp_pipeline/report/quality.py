"""Data quality of a store: joints that jump, frozen clips, bones that change, and the clips that are outliers.

Functions take packed rows: R rows are the frames of bodies, clip after clip, body after body within a clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import RowIndex, index_rows
from mamp_schemas.io.store_reader import Store
from mamp_schemas.progress import Progress

JUMP_METRES = 0.5
"""Longest step of a hand or foot between two frames: 15 m/s at 30 frames/s."""
JUMP_RATIO = 5.0
"""A jump is also this many times the median of the joint's steps around it: fast movement lasts for several steps."""
JUMP_WINDOW = 3
"""Steps before and after a step over which the median is taken."""
STILL_METRES = 1e-4
"""A sensor's noise moves joints by more than this from frame to frame; a repeated frame does not."""
MIN_BONE_METRES = 0.1
"""Shorter bones, hands and thumbs, are not measured: their lengths are within the sensor's noise."""
BONE_QUANTILES = (0.05, 0.95)
"""The spread of a bone's length over time lies between these quantiles."""


@dataclass(frozen=True, slots=True)
class Jumps:
    """J steps that are too long for a movement.

    Attributes:
        row: (J,) int64, the row before the step, ascending.
        joint: (J,) int64.
        metres: (J,) float32, the step's length.
    """

    row: NDArray[np.int64]
    joint: NDArray[np.int64]
    metres: NDArray[np.float32]


def visible_rows(joints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (R,) which rows (R, V, 3) hold a body: not all zeros."""
    return np.asarray(joints.any(axis=(1, 2)), dtype=np.bool_)


def step_lengths(joints: NDArray[np.float32], index: RowIndex) -> NDArray[np.float32]:
    """Return how far each joint moves to the next frame of its body.

    Args:
        joints: (R, V, 3) metres.
        index: of the R rows.

    Returns:
        (R, V) metres; NaN in a body's last frame, and if the body is absent (all zeros) in one of the two frames.
    """
    steps = np.full(joints.shape[:2], np.nan, dtype=np.float32)
    difference = joints[1:] - joints[:-1]
    steps[:-1] = _norms(difference)
    seen = visible_rows(joints)
    steps[:-1][~(seen[1:] & seen[:-1])] = np.nan
    steps[index.frame + 1 >= index.frames] = np.nan
    return steps


def find_jumps(steps: NDArray[np.float32], index: RowIndex) -> Jumps:
    """Find joints that teleport: steps over `JUMP_METRES` and over `JUMP_RATIO` times the median of the steps around.

    The median is taken over a joint's steps from `JUMP_WINDOW` before to as many after, the step itself included,
    so that a fast movement, with several long steps in a row, is not a jump, and a glitch of one or two frames is.

    Args:
        steps: (R, V) metres, from `step_lengths`.
        index: of the R rows.
    """
    row, joint = np.nonzero(steps > JUMP_METRES)
    offsets = np.arange(-JUMP_WINDOW, JUMP_WINDOW + 1)
    frame = index.frame[row, None] + offsets
    inside = (frame >= 0) & (frame < index.frames[row, None])
    around = steps[np.where(inside, row[:, None] + offsets, row[:, None]), joint[:, None]]
    median = np.nanmedian(np.where(inside, around, np.nan), axis=1)
    metres = steps[row, joint]
    jumps = metres > JUMP_RATIO * median
    return Jumps(row[jumps], joint[jumps], metres[jumps])


def still_fraction(steps: NDArray[np.float32], row_clip: NDArray[np.int64], clips: int) -> NDArray[np.float64]:
    """Return the share of each clip's steps in which no joint moves by more than `STILL_METRES`.

    Args:
        steps: (R, V) metres, from `step_lengths`.
        row_clip: (R,) the clip of each row.
        clips: how many clips there are.

    Returns:
        (clips,); 1 for a clip without any step: a single frame, or no body.
    """
    known = ~np.isnan(steps[:, 0])
    still = known & ~(steps > STILL_METRES).any(axis=1)
    total = np.bincount(row_clip, weights=known, minlength=clips)
    return np.where(total > 0, np.bincount(row_clip, weights=still, minlength=clips) / np.maximum(total, 1), 1.0)


def bone_lengths(joints: NDArray[np.float32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the distance of each joint (R, V, 3) from its parent: (R, V) metres, 0 for the root."""
    difference = joints - joints[:, parents]
    return _norms(difference)


def bone_length_change(lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each bone of one body changes its length over time, relative to its median length.

    The change is the spread between two quantiles, so that a glitch of a few frames, see `find_jumps`, does not count.

    Args:
        lengths: (T, V) metres, the frames in which the body is present.

    Returns:
        (V,); 0 for bones shorter than `MIN_BONE_METRES`, the root, and a body that is never present.
    """
    frames = len(lengths)
    if not frames:
        return np.zeros(lengths.shape[1], dtype=np.float32)
    ordered = np.sort(lengths, axis=0)
    low, high = (ordered[round(share * (frames - 1))] for share in BONE_QUANTILES)
    median = ordered[(frames - 1) // 2]
    long = median >= MIN_BONE_METRES
    return np.where(long, (high - low) / np.where(long, median, 1), 0).astype(np.float32)


def _norms(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(np.einsum("rvc,rvc->rv", vectors, vectors)), dtype=np.float32)


@dataclass(frozen=True)
class Survey:
    """Quality of N clips, and mean intensities of K classes and V joints.

    Attributes:
        jumps: (N,) int32, how many jumps its joints make.
        jump_metres: (N,) float32, the longest of them; 0 if there is none.
        jump_joint: (N,) int16, its joint.
        still: (N,) float32, share of steps in which no joint moves.
        bone_change: (N,) float32, relative change of the bone that changes most.
        bone: (N,) int16, the joint at that bone's end.
        intensity: (K + 1, V) mean intensity of the classes' rows, metres; the last row is of clips without a label;
            NaN for classes without rows.
        rows: (K + 1,) int64, the number of rows of each mean.
        pose: (V, 3) metres, the mean of all poses about their root joint.
    """

    jumps: NDArray[np.int32]
    jump_metres: NDArray[np.float32]
    jump_joint: NDArray[np.int16]
    still: NDArray[np.float32]
    bone_change: NDArray[np.float32]
    bone: NDArray[np.int16]
    intensity: NDArray[np.float64]
    rows: NDArray[np.int64]
    pose: NDArray[np.float64]


def survey_store(store: Store, progress: Progress) -> Survey:
    """Read all rows of a store once, block by block.

    Raises:
        DamagedStoreError: rows cannot be read.
    """
    gathered = _SurveyAccumulator(store)
    progress.start("survey", len(store.ids), "clips")
    for first, last, joints in store.blocks():
        start = int(store.columns["first_row"][first])
        gathered.add(first, last, joints, store.read_rows("intensity", start, start + len(joints)))
        progress.advance(last - first)
    return gathered.result()


class _SurveyAccumulator:
    """Collects a survey block by block."""

    def __init__(self, store: Store) -> None:
        clips, skeleton = len(store.ids), store.metadata.skeleton
        joints, classes = len(skeleton.joints), store.metadata.dataset_spec().classes
        self._columns = store.columns
        self._parents = np.array(skeleton.parents, dtype=np.int64)
        self._root = int(np.flatnonzero(self._parents == np.arange(joints))[0])
        self._jumps = np.zeros(clips, np.int32)
        self._jump_metres, self._jump_joint = np.zeros(clips, np.float32), np.zeros(clips, np.int16)
        self._still, self._bone_change = np.zeros(clips, np.float32), np.zeros(clips, np.float32)
        self._bone = np.zeros(clips, np.int16)
        self._intensity, self._rows = np.zeros((classes + 1, joints)), np.zeros(classes + 1, np.int64)
        self._pose, self._poses = np.zeros((joints, 3)), 0

    def add(self, first: int, last: int, joints: NDArray[np.float32], intensity: NDArray[np.float32]) -> None:
        """Add the clips [first, last): their rows (R, V, 3), and the stored intensity (R, V)."""
        frames, bodies = (self._columns[name][first:last].astype(np.int64) for name in ("frames", "bodies"))
        index, row_clip = index_rows(frames, bodies), np.repeat(np.arange(last - first), frames * bodies)
        steps = step_lengths(joints, index)
        self._still[first:last] = still_fraction(steps, row_clip, last - first)
        self._add_jumps(steps, index, row_clip + first)
        self._add_bones(joints, frames, bodies, first)
        self._add_intensity(intensity, self._columns["label"][first:last].astype(np.int64), frames * bodies)
        seen = joints[visible_rows(joints)]
        self._pose += (seen - seen[:, self._root : self._root + 1]).sum(axis=0, dtype=np.float64)
        self._poses += len(seen)

    def result(self) -> Survey:
        """Return the survey of the clips that were added."""
        with np.errstate(invalid="ignore"):
            mean = self._intensity / self._rows[:, None]
        return Survey(
            jumps=self._jumps,
            jump_metres=self._jump_metres,
            jump_joint=self._jump_joint,
            still=self._still,
            bone_change=self._bone_change,
            bone=self._bone,
            intensity=mean,
            rows=self._rows,
            pose=self._pose / max(self._poses, 1),
        )

    def _add_jumps(self, steps: NDArray[np.float32], index: RowIndex, row_clip: NDArray[np.int64]) -> None:
        jumps = find_jumps(steps, index)
        clip, order = row_clip[jumps.row], np.argsort(jumps.metres, kind="stable")
        self._jumps += np.bincount(clip, minlength=len(self._jumps)).astype(np.int32)
        # In ascending order, so that the longest jump of a clip is written last.
        self._jump_metres[clip[order]] = jumps.metres[order]
        self._jump_joint[clip[order]] = jumps.joint[order]

    def _add_bones(
        self, joints: NDArray[np.float32], frames: NDArray[np.int64], bodies: NDArray[np.int64], first: int
    ) -> None:
        lengths, seen = bone_lengths(joints, self._parents), visible_rows(joints)
        start = 0
        for clip, (count, slots) in enumerate(zip(frames.tolist(), bodies.tolist(), strict=True), start=first):
            for _ in range(slots):
                track = slice(start, start + count)
                change = bone_length_change(lengths[track][seen[track]])
                bone = int(change.argmax())
                if change[bone] > self._bone_change[clip]:
                    self._bone_change[clip], self._bone[clip] = change[bone], bone
                start += count

    def _add_intensity(self, intensity: NDArray[np.float32], label: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        starts = np.cumsum(rows) - rows
        sums = np.add.reduceat(intensity, starts, axis=0, dtype=np.float64)
        np.add.at(self._intensity, label, sums)
        np.add.at(self._rows, label, rows)


OutlierKind = Literal["jumps", "still", "bones"]

MAX_STILL_FRACTION = 0.5
"""A clip is frozen if no joint moves in more than this share of its steps."""
MAX_ROBUST_SCORE = 3.5
"""Iglewicz and Hoaglin's bound for the modified z-score."""
MAD_TO_SIGMA = 1.4826
"""The ratio of a normal distribution's standard deviation to its median absolute deviation."""

CRITERIA: dict[OutlierKind, tuple[str, str]] = {
    "jumps": (
        "Teleporting joints",
        f"A joint moves more than {JUMP_METRES} m from one frame to the next, and more than {JUMP_RATIO:g} times the "
        "median of its seven steps around.",
    ),
    "still": (
        "Frozen clips",
        f"In more than {MAX_STILL_FRACTION:.0%} of the steps no joint moves by more than {STILL_METRES * 1000:g} mm; "
        "clips without any step count, too.",
    ),
    "bones": (
        "Changing bones",
        f"A bone of at least {MIN_BONE_METRES} m changes its length so much, 5 % to 95 % quantile over its median, "
        f"that its logarithm is {MAX_ROBUST_SCORE} robust standard deviations above the median of this store's clips.",
    ),
}
"""Title and criterion of each kind, for pages."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A clip that is an outlier.

    Attributes:
        clip: its index in the store.
        value: by how much: metres, share, or relative change.
        detail: which joints, if it is about joints.
    """

    kind: OutlierKind
    clip: int
    value: float
    detail: str


def robust_scores(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the modified z-score of each value: its distance from the median, in robust standard deviations.

    Args:
        values: (N,).

    Returns:
        (N,); zeros if more than half of the values are equal, because then the deviation is zero.
    """
    if not len(values):
        return np.zeros(0)
    distance = values.astype(np.float64) - np.median(values)
    deviation = np.median(np.abs(distance)) * MAD_TO_SIGMA
    return distance / deviation if deviation > 0 else np.zeros(len(values))


def find_outliers(survey: Survey, joints: Sequence[str]) -> dict[OutlierKind, list[Outlier]]:
    """Return the outliers by kind, the worst first.

    Args:
        survey: of all clips.
        joints: V names.
    """
    changes = survey.bone_change > 0
    scores = np.zeros(len(changes))
    scores[changes] = robust_scores(np.log(survey.bone_change[changes]))

    def jump(clip: int) -> str:
        count = int(survey.jumps[clip])
        times = "once" if count == 1 else f"{count:,} times"
        return f"{times}, farthest {joints[survey.jump_joint[clip]]}"

    return {
        "jumps": [Outlier("jumps", clip, value, jump(clip)) for clip, value in _clips_above(survey.jump_metres, 0.0)],
        "still": [Outlier("still", clip, value, "") for clip, value in _clips_above(survey.still, MAX_STILL_FRACTION)],
        "bones": [
            Outlier("bones", clip, float(survey.bone_change[clip]), f"bone to {joints[survey.bone[clip]]}")
            for clip, _ in _clips_above(scores, MAX_ROBUST_SCORE)
        ],
    }


def _clips_above(values: NDArray[np.floating], bound: float) -> list[tuple[int, float]]:
    """Return (clip, value) of values above a bound, the largest first, equal ones in store order."""
    order = np.argsort(-values, kind="stable")
    return [(int(clip), float(values[clip])) for clip in order[: np.count_nonzero(values > bound)]]
