"""Padded arrays come back bit for bit, whatever they hold; what a store keeps of them is what is there."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mamp_pipeline.convert import padded
from mamp_pipeline.convert.padded import unpad_clips
from mamp_pipeline.convert.source import MAX_METRES, as_float32
from mamp_schemas.errors import ManifestError, RawInputError
from mamp_schemas.io import store_reader
from tests.pipeline.convert_cases import (
    assert_same_bits,
    h5_arrays,
    import_npz,
    npz_arrays,
    pad,
    round_trip,
    write_npz,
)

SPECIAL = np.array([0.0, -0.0, 1e-45, MAX_METRES, -MAX_METRES, 1.0], dtype=np.float32)


@st.composite
def clips(draw: st.DrawFn) -> NDArray[np.float32]:
    """A padded clip of any length and second slot, with zeros of both signs and extremes strewn over it."""
    seed = draw(st.integers(0, 2**31))
    clip = pad(draw(st.integers(0, 300)), draw(st.sampled_from(["zeros", "copy", "body"])), seed)
    generator = np.random.default_rng(seed)
    for _ in range(draw(st.integers(0, 3))):
        clip[generator.integers(300), generator.integers(150)] = generator.choice(SPECIAL)
    if draw(st.booleans()):
        clip[generator.integers(300)] = 0
    return clip


@settings(max_examples=8, deadline=None)
@given(st.lists(clips(), max_size=5), st.lists(clips(), max_size=4), st.lists(clips(), min_size=1, max_size=3))
def test_round_trip__any_array_comes_back_bit_for_bit(
    train: list[NDArray[np.float32]], valid: list[NDArray[np.float32]], test: list[NDArray[np.float32]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arrays = npz_arrays([*train, *valid], test)
        assert_same_bits(round_trip(Path(folder, "file.npz"), arrays), arrays)
        arrays = h5_arrays(train, valid, test)
        assert_same_bits(round_trip(Path(folder, "other.h5"), arrays), arrays)


@pytest.mark.parametrize(
    ("clip", "bodies", "frames", "second"),
    [
        (pad(7), 1, 7, "zeros"),
        (pad(7, "copy"), 1, 7, "copy"),
        (pad(300, "body"), 2, 300, "stored"),
        (pad(0), 1, 1, "either"),
    ],
)
def test_unpad__keeps_what_is_there(clip: NDArray[np.float32], bodies: int, frames: int, second: str) -> None:
    (found,) = unpad_clips(clip[None], 2)
    assert found.joints.shape == (bodies, frames, 25, 3)
    assert found.second_slot == second
    np.testing.assert_array_equal(found.joints[0].reshape(frames, 75), clip[:frames, :75])


def test_unpad__a_second_body_alone_keeps_its_slot() -> None:
    clip = pad(4)[:, ::-1].copy()
    (found,) = unpad_clips(clip[None], 2)
    assert found.joints.shape[0] == 2
    assert not found.joints[0].any()


def test_unpad__frames_of_signed_sum_zero_are_not_valid() -> None:
    clip = pad(6)
    clip[2] = 0
    clip[3, :2], clip[3, 2:] = (1, -1), 0
    (found,) = unpad_clips(clip[None], 2)
    assert (found.joints.shape[1], found.valid_frames) == (6, 4)


def test_unpad__a_clip_of_zeros_has_one_valid_frame() -> None:
    (found,) = unpad_clips(np.zeros((1, 300, 150), dtype=np.float32), 2)
    assert found.valid_frames == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2 * MAX_METRES])
def test_as_float32__refuses_with_the_place(value: float) -> None:
    values = np.zeros((2, 3), dtype=np.float32)
    values[1, 2] = value
    with pytest.raises(RawInputError, match=r"at \(1, 2\): got .*, expected a finite"):
        as_float32(values, lambda index: f"at {index}")


def test_as_float32__takes_doubles_that_are_float32() -> None:
    assert as_float32(np.array([0.5, 0.1], dtype=np.float32).astype(np.float64), str).tolist() == [
        0.5,
        np.float32(0.1).item(),
    ]
    with pytest.raises(RawInputError, match=r"\(1,\): 0.1 is not a float32"):
        as_float32(np.array([0.5, 0.1]), str)


def test_pad_clips__any_order_in_bounded_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = import_npz(write_npz(tmp_path / "f.npz", npz_arrays([pad(k + 1, seed=k) for k in range(9)], [pad(3)])))
    monkeypatch.setattr(store_reader, "BLOCK_CLIPS", 2)
    monkeypatch.setattr(store_reader, "BLOCK_ROWS", 12)
    order = [4, 5, 6, 1, 9, 9, 0, 2, 3]
    blocks = list(padded.pad_clips(store, np.array(order)))
    assert max(len(block) for block in blocks) == 2
    expected = {clip: pad(3) if clip == 0 else pad(clip, seed=clip - 1) for clip in order}
    np.testing.assert_array_equal(np.concatenate(blocks), [expected[clip] for clip in order])


def test_clip_indices__names_the_missing_clip(tmp_path: Path) -> None:
    store = import_npz(write_npz(tmp_path / "f.npz", npz_arrays([pad(3)], [])))
    with pytest.raises(ManifestError, match="the first is nobody"):
        store.clip_indices(["train_000001", "nobody"])
