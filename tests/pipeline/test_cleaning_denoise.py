import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.cleaning.denoise import denoise, find_noisy_frames, position_variance
from mamp_pipeline.cleaning.tracks import Track
from mamp_schemas.errors import RawFileError
from tests.pipeline.cleaning_cases import make_body


def _spread(joints: NDArray[np.float32], noisy: int) -> NDArray[np.float32]:
    """Widen the first frames of a body tenfold."""
    wide = joints.copy()
    wide[:noisy, :, 0] *= 10
    return wide


def _starts(tracks: list[Track]) -> list[int]:
    return [track.start for track in tracks]


def test_denoise__largest_motion_first() -> None:
    tracks = [Track(k, make_body(20, swing=swing)) for k, swing in enumerate((0.1, 0.5, 0.3))]
    assert _starts(denoise(tracks)) == [1, 2, 0]


def test_denoise__equal_motion_keeps_the_order_of_appearance() -> None:
    tracks = [Track(k, make_body(20)) for k in range(3)]
    assert _starts(denoise(tracks)) == [0, 1, 2]


@pytest.mark.parametrize(("frames", "kept"), [(11, [1]), (12, [0, 1])])
def test_denoise__drops_bodies_of_at_most_11_frames(frames: int, kept: list[int]) -> None:
    assert _starts(denoise([Track(0, make_body(frames, swing=0.9)), Track(1, make_body(20))])) == kept


@pytest.mark.parametrize(("noisy", "kept"), [(69, [0, 1]), (70, [1])])
def test_denoise__drops_bodies_that_are_mostly_spread(noisy: int, kept: list[int]) -> None:
    tracks = [Track(0, _spread(make_body(100, swing=0.9), noisy)), Track(1, make_body(20, swing=0.01))]
    assert _starts(denoise(tracks)) == kept


def test_denoise__stops_when_one_body_is_left() -> None:
    tracks = [Track(k, _spread(make_body(20), 20)) for k in range(3)]
    assert _starts(denoise(tracks)) == [2]


def test_denoise__noisy_frames_do_not_raise_the_motion() -> None:
    tracks = [Track(0, _spread(make_body(20), 5)), Track(1, make_body(20, swing=0.3))]
    assert position_variance(tracks[0].joints) > position_variance(tracks[1].joints)
    assert _starts(denoise(tracks)) == [1, 0]


def test_denoise__all_short() -> None:
    with pytest.raises(RawFileError, match="none with more than 11"):
        denoise([Track(0, make_body(11)), Track(0, make_body(3))])


@pytest.mark.parametrize(("width", "noisy"), [(1.59, False), (1.6, False), (1.61, True)])
def test_find_noisy_frames__wider_than_four_fifths_of_the_height(width: float, noisy: bool) -> None:
    frame = np.array([[[0, 0, 3], [width, 2, 3]]], dtype=np.float32)
    assert find_noisy_frames(frame).tolist() == [noisy]


def test_measure_motion__sums_the_variance_of_each_axis() -> None:
    joints = np.array([[[0, 0, 0]], [[2, 4, 6]]], dtype=np.float32)
    assert position_variance(joints) == 1 + 4 + 9
