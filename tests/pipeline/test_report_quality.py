"""Jumps, standstill and changing bones, on tracks written by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.motion import index_rows
from mamp_pipeline.report.quality import (
    JUMP_METRES,
    bone_length_change,
    bone_lengths,
    find_jumps,
    step_lengths,
    still_fraction,
)


def track(*x: float) -> NDArray[np.float32]:
    """One joint at the given x, with y = 1 so that a frame at 0 still holds a body."""
    return np.array([[[value, 1, 0]] for value in x], dtype=np.float32)


def steps_of(*tracks: NDArray[np.float32]) -> NDArray[np.float32]:
    frames = np.array([len(each) for each in tracks])
    return step_lengths(np.concatenate(tracks), index_rows(frames, np.ones(len(tracks), dtype=int)))


def jumps_of(*tracks: NDArray[np.float32]) -> list[int]:
    frames = np.array([len(each) for each in tracks])
    places = index_rows(frames, np.ones(len(tracks), dtype=int))
    return find_jumps(step_lengths(np.concatenate(tracks), places), places).row.tolist()


def test_step_lengths__is_a_distance_in_space() -> None:
    joints = np.array([[[1, 1, 1]], [[4, 5, 1]]], dtype=np.float32)
    assert step_lengths(joints, index_rows(np.array([2]), np.array([1])))[0, 0] == 5


def test_step_lengths__stays_within_a_body() -> None:
    steps = steps_of(track(0, 1), track(50, 51))[:, 0]
    assert np.isnan(steps[[1, 3]]).all()
    assert steps[[0, 2]].tolist() == [1, 1]


def test_step_lengths__knows_no_step_to_or_from_a_frame_without_the_body() -> None:
    unseen = np.zeros((1, 1, 3), dtype=np.float32)
    steps = steps_of(np.concatenate((track(1, 1), unseen, track(1, 1))))[:, 0]
    assert np.isnan(steps).tolist() == [False, True, True, False, True]


def test_find_jumps__finds_the_way_there_and_back() -> None:
    assert jumps_of(track(0, 0, 0, 0, 2, 2, 2, 2, 2, 0, 0)) == [3, 8]


def test_find_jumps__finds_a_glitch_of_one_frame() -> None:
    assert jumps_of(track(0, 0, 0, 0, 2, 0, 0, 0, 0)) == [3, 4]


def test_find_jumps__leaves_fast_movement_alone() -> None:
    assert jumps_of(track(0, 0.2, 0.6, 1.2, 1.9, 2.5, 2.9, 3.1)) == []


def test_find_jumps__leaves_steps_up_to_the_bound_alone() -> None:
    assert jumps_of(track(0, 0, 0, 0, JUMP_METRES, JUMP_METRES, JUMP_METRES)) == []


def test_find_jumps__looks_around_within_the_body_only() -> None:
    assert jumps_of(track(*range(7)), track(0, 0, 0, 1), track(*range(7))) == [9]


def test_find_jumps__names_the_joint_and_the_distance() -> None:
    joints = np.ones((8, 3, 3), dtype=np.float32)
    joints[5:, 2, 1] += 2
    places = index_rows(np.array([8]), np.array([1]))
    jumps = find_jumps(step_lengths(joints, places), places)
    assert (jumps.row.tolist(), jumps.joint.tolist(), jumps.metres.tolist()) == ([4], [2], [2])


def test_still_fraction__counts_steps_in_which_nothing_moves() -> None:
    steps = steps_of(track(0, 0, 0, 1, 2))
    assert still_fraction(steps, np.zeros(5, dtype=np.int64), 1).tolist() == [0.5]


def test_still_fraction__one_moving_joint_is_movement() -> None:
    joints = np.ones((3, 4, 3), dtype=np.float32)
    joints[:, 1, 0] = (0, 1, 2)
    steps = step_lengths(joints, index_rows(np.array([3]), np.array([1])))
    assert still_fraction(steps, np.zeros(3, dtype=np.int64), 1).tolist() == [0]


def test_still_fraction__a_clip_without_any_step_is_still() -> None:
    steps = steps_of(track(0, 1), track(5))
    assert still_fraction(steps, np.array([0, 0, 1]), 2).tolist() == [0, 1]


def test_bone_lengths__root_has_none() -> None:
    joints = np.array([[[0, 0, 0], [3, 4, 0]]], dtype=np.float32)
    assert bone_lengths(joints, np.array([0, 0])).tolist() == [[0, 5]]


def test_bone_length_change__is_relative_to_the_median_length() -> None:
    lengths = np.linspace(1, 3, 21, dtype=np.float32)[:, None]
    assert bone_length_change(lengths)[0] == pytest.approx((2.9 - 1.1) / 2)


def test_bone_length_change__a_glitch_of_few_frames_does_not_count() -> None:
    lengths = np.full((40, 1), 0.3, dtype=np.float32)
    lengths[7] = 5
    assert bone_length_change(lengths).tolist() == [0]


def test_bone_length_change__leaves_out_bones_too_short_to_be_measured() -> None:
    assert bone_length_change(np.array([[0.02], [0.08], [0.05]], dtype=np.float32)).tolist() == [0]


def test_bone_length_change__of_a_body_that_is_never_seen() -> None:
    assert bone_length_change(np.zeros((0, 3), dtype=np.float32)).tolist() == [0, 0, 0]
