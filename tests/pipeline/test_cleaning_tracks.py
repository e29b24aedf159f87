import time

import numpy as np
import pytest

from mamp_pipeline.cleaning.tracks import group_tracks
from mamp_pipeline.datasets.clips import RawBodies
from mamp_schemas.errors import RawFileError
from tests.pipeline.cleaning_cases import make_body, make_raw


def test_group_tracks__order_of_first_appearance() -> None:
    tracks, frames = group_tracks(make_raw((9, 0, make_body(3)), (2, 1, make_body(2))))
    assert [(track.start, track.end) for track in tracks] == [(0, 2), (1, 2)]
    assert frames == 3


def test_group_tracks__frames_without_a_body_do_not_count() -> None:
    tracks, frames = group_tracks(make_raw((9, 2, make_body(3)), (2, 8, make_body(2)), frames=20))
    assert [(track.start, track.end) for track in tracks] == [(0, 2), (3, 4)]
    assert frames == 5


def test_group_tracks__returning_body_shifts_earlier() -> None:
    body = make_body(5)
    raw = make_raw((9, 0, body[:2]), (2, 0, make_body(8)), (9, 5, body[2:]))
    tracks, frames = group_tracks(raw)
    assert (tracks[0].start, tracks[0].end, frames) == (0, 4, 8)
    np.testing.assert_array_equal(tracks[0].joints, body)


def test_group_tracks__ids_beyond_doubles_stay_apart() -> None:
    tracks, _ = group_tracks(make_raw((2**56 + 1, 0, make_body(2)), (2**56 + 2, 0, make_body(2))))
    assert len(tracks) == 2


def test_group_tracks__no_record() -> None:
    with pytest.raises(RawFileError, match="no body in any of its 4 frames"):
        group_tracks(make_raw(frames=4))


def test_group_tracks__a_body_for_each_of_many_records() -> None:
    count = 200_000
    raw = RawBodies(count, np.arange(count), np.arange(count)[::-1], np.zeros((count, 1, 3), np.float32))
    start = time.process_time()
    tracks, frames = group_tracks(raw)
    assert (len(tracks), frames) == (count, count)
    assert [track.start for track in tracks[:3]] == [0, 1, 2]
    assert time.process_time() - start < 20
