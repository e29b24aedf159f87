import numpy as np
import pytest

from mamp_pipeline.cleaning.clip import centre_slots
from mamp_schemas.errors import RawFileError


def _slots(*values: tuple[float, ...]) -> np.ndarray:
    """Return (T, M, 2, 3) slots: all coordinates of a frame's slot have one value, the second joint one more."""
    frames = np.array(values, dtype=np.float32)[:, :, None, None] * np.ones((2, 3), dtype=np.float32)
    frames[:, :, 1] += frames[:, :, 1] != 0
    return frames


def test_centre_slots__first_frame_of_actor_1_is_the_origin() -> None:
    centred = centre_slots(_slots((2, 5), (3, 7)), joint=1)
    assert centred[:, :, 1, 0].tolist() == [[0, 3], [1, 5]]


def test_centre_slots__leading_zero_frames_are_passed_over() -> None:
    centred = centre_slots(_slots((0, 5), (3, 7)), joint=1)
    assert centred[:, :, 1, 0].tolist() == [[0, 2], [0, 4]]


def test_centre_slots__empty_slots_stay_zero() -> None:
    centred = centre_slots(_slots((2, 5), (3, 0), (0, 4)), joint=1)
    assert not centred[1, 1].any()
    assert not centred[2, 0].any()


def test_centre_slots__a_single_slot_moves_whole() -> None:
    centred = centre_slots(_slots((2,), (0,)), joint=1)
    assert centred[:, 0, 1, 0].tolist() == [0, -3]


def test_centre_slots__actor_1_without_position() -> None:
    with pytest.raises(RawFileError, match="main body"):
        centre_slots(_slots((0, 5)), joint=1)


def test_centre_slots__no_frame() -> None:
    with pytest.raises(RawFileError, match="main body"):
        centre_slots(np.zeros((0, 2, 2, 3), dtype=np.float32), joint=1)
