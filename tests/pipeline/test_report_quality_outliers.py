"""Which clips stand out: robust scores, order, bounds."""

import numpy as np
import pytest

from mamp_pipeline.report.quality import Survey, find_outliers, robust_scores

JOINTS = ("hip", "knee")


def surveyed(**changes: np.ndarray) -> Survey:
    clips = len(next(iter(changes.values())))
    plain = {
        "jumps": np.zeros(clips, np.int32),
        "jump_metres": np.zeros(clips, np.float32),
        "jump_joint": np.ones(clips, np.int16),
        "still": np.zeros(clips, np.float32),
        "bone_change": np.zeros(clips, np.float32),
        "bone": np.ones(clips, np.int16),
        "intensity": np.zeros((1, 2)),
        "rows": np.zeros(1, np.int64),
        "pose": np.zeros((2, 3)),
    }
    return Survey(**{**plain, **changes})


def test_robust_scores__are_those_of_a_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    assert robust_scores(np.append(values, 11.0))[-1] == pytest.approx(3, abs=0.1)


def test_robust_scores__outliers_do_not_hide_each_other() -> None:
    values = np.append(np.linspace(0, 1, 70), np.full(30, 1e6))
    assert (robust_scores(values)[-30:] > 3.5).all()


def test_robust_scores__nothing_stands_out_where_most_values_are_equal() -> None:
    assert robust_scores(np.array([1.0, 1.0, 1.0, 9.0])).tolist() == [0] * 4


def test_find_outliers__jumps_the_farthest_first() -> None:
    found = find_outliers(
        surveyed(jumps=np.array([1, 0, 3], np.int32), jump_metres=np.array([0.6, 0, 2.5], np.float32)), JOINTS
    )["jumps"]
    assert [(outlier.clip, outlier.detail) for outlier in found] == [
        (2, "3 times, farthest knee"),
        (0, "once, farthest knee"),
    ]


def test_find_outliers__still_above_half_of_the_steps() -> None:
    found = find_outliers(surveyed(still=np.array([0.5, 0.51, 1.0], np.float32)), JOINTS)["still"]
    assert [outlier.clip for outlier in found] == [2, 1]


def test_find_outliers__bones_against_the_other_clips() -> None:
    change = np.append(np.linspace(0.3, 0.6, 40), 4.0).astype(np.float32)
    (found,) = find_outliers(surveyed(bone_change=change), JOINTS)["bones"]
    assert (found.clip, found.value, found.detail) == (40, 4.0, "bone to knee")


def test_find_outliers__of_a_store_without_clips() -> None:
    assert find_outliers(surveyed(still=np.zeros(0, np.float32)), JOINTS) == {"jumps": [], "still": [], "bones": []}
