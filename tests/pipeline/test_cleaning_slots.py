import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import drop_empty_frames, tracks_to_slots
from mamp_pipeline.cleaning.tracks import Track
from mamp_schemas.errors import RawFileError


def _track(start: int, frames: int, value: float) -> Track:
    return Track(start, np.full((frames, 2, 3), value, dtype=np.float32))


def _values(slots: NDArray[np.float32]) -> list[list[float]]:
    """Return the first coordinate of each slot over time."""
    values: list[list[float]] = slots[:, :, 0, 0].T.tolist()
    return values


def test_place_tracks__single() -> None:
    assert _values(tracks_to_slots([_track(1, 2, 5)], 4)) == [[0, 5, 5, 0]]


def test_place_tracks__overlap_opens_the_second_slot() -> None:
    assert _values(tracks_to_slots([_track(0, 4, 1), _track(1, 3, 2)], 4)) == [[1, 1, 1, 1], [0, 2, 2, 2]]


def test_place_tracks__body_without_overlap_continues_actor_1() -> None:
    assert _values(tracks_to_slots([_track(0, 2, 1), _track(2, 2, 2)], 4)) == [[1, 1, 2, 2], [0, 0, 0, 0]]


def test_place_tracks__one_common_frame_is_no_overlap_and_the_later_wins() -> None:
    assert _values(tracks_to_slots([_track(0, 3, 1), _track(2, 2, 2)], 4)) == [[1, 1, 2, 2], [0, 0, 0, 0]]


def test_place_tracks__third_body_overlapping_both_is_lost() -> None:
    slots = tracks_to_slots([_track(0, 4, 1), _track(0, 4, 2), _track(0, 4, 3)], 4)
    assert _values(slots) == [[1, 1, 1, 1], [2, 2, 2, 2]]


def test_place_tracks__a_lost_body_may_run_past_the_frames() -> None:
    slots = tracks_to_slots([_track(0, 4, 1), _track(0, 4, 2), _track(1, 9, 3)], 4)
    assert _values(slots) == [[1, 1, 1, 1], [2, 2, 2, 2]]


def test_place_tracks__intervals_widen() -> None:
    tracks = [_track(4, 2, 1), _track(0, 2, 2), _track(2, 2, 3)]
    assert _values(tracks_to_slots(tracks, 6)) == [[2, 2, 0, 0, 1, 1], [0, 0, 3, 3, 0, 0]]


def test_place_tracks__body_past_the_frames() -> None:
    with pytest.raises(RawFileError, match="3 records from frame 1 on, but only 3 frames"):
        tracks_to_slots([_track(1, 3, 1)], 3)


def test_drop_empty_frames__cuts_frames_whose_sum_cancels_out() -> None:
    slots = tracks_to_slots([_track(0, 3, 1), _track(0, 3, 2)], 4)
    slots[1, 1] = -1
    assert _values(drop_empty_frames(slots)) == [[1, 1], [2, 2]]
