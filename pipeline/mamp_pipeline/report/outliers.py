"""Which clips stand out, and why: the criteria of docs/reports.md on a survey's measures. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.measures import MIN_BONE_METRES, JUMP_METRES, JUMP_RATIO, STILL_METRES
from mamp_pipeline.report.survey import Survey

OutlierKind = Literal["jumps", "still", "bones"]

MAX_STILL_FRACTION = 0.5
"""A clip is frozen when no joint moves in more than this share of its steps."""
MAX_ROBUST_SCORE = 3.5
"""Iglewicz and Hoaglin's bound for the modified z-score."""
MAD_TO_SIGMA = 1.4826
"""What a normal distribution's median absolute deviation is to be multiplied by to give its standard deviation."""

CRITERIA: dict[OutlierKind, tuple[str, str]] = {
    "jumps": (
        "Teleporting joints",
        f"A joint moves more than {JUMP_METRES} m from one frame to the next, and more than {JUMP_RATIO:g} times the "
        "median of its seven steps around.",
    ),
    "still": (
        "Frozen clips",
        f"In more than {MAX_STILL_FRACTION:.0%} of the steps no joint moves by more than {STILL_METRES * 1000:g} mm; clips "
        "without any step count, too.",
    ),
    "bones": (
        "Changing bones",
        f"A bone of at least {MIN_BONE_METRES} m changes its length so much, 5 % to 95 % quantile over its median, that "
        f"the logarithm lies {MAX_ROBUST_SCORE} robust standard deviations above the median of this store's clips.",
    ),
}
"""Title and criterion of each kind, as shown."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A clip that stands out.

    Attributes:
        clip: its place in the store.
        value: how much it stands out: metres, share, relative change.
        detail: which joints, where it is about some.
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
        (N,); zeros where more than half of the values are equal, for then nothing tells what is usual.
    """
    if not len(values):
        return np.zeros(0)
    distance = values.astype(np.float64) - np.median(values)
    deviation = np.median(np.abs(distance)) * MAD_TO_SIGMA
    return distance / deviation if deviation > 0 else np.zeros(len(values))


def find_outliers(survey: Survey, joints: Sequence[str]) -> dict[OutlierKind, list[Outlier]]:
    """Return the clips that stand out, by kind, the worst first.

    Args:
        survey: the measures.
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
    """Return (clip, value) of values above a bound, largest first, equal ones in store order."""
    order = np.argsort(-values, kind="stable")
    return [(int(clip), float(values[clip])) for clip in order[: np.count_nonzero(values > bound)]]
