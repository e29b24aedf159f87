import hashlib
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.cleaning.clip import count_valid_frames, make_clip
from mamp_pipeline.datasets.clips import RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import dataset_spec, fixed_specs
from mamp_schemas.models.skeleton import KINECT_V1, KINECT_V2, Skeleton
from tests.paths import GOLDEN, SHARED_DATA
from tests.pipeline.cleaning_cases import (
    both_slots,
    count_as_loader,
    golden_texts,
    make_body,
    make_raw,
    parse_naively,
)
from tests.pipeline.cleaning_oracle import CannotCleanError, clean_naively

PAPER = dataset_spec("ntu60").paper_policy
SAMPLE = SHARED_DATA / "ntu_sample.zip"
TRIANGLE = Skeleton(name="triangle", joints=("a", "b", "c"), parents=(0, 0, 0), centre=1)

_texts = cache(golden_texts)
_golden_clips = [
    (dataset, clip_id, kind)
    for dataset in ("ntu60", "ntu120")
    for clip_id, kind in json.loads((GOLDEN / dataset / "kinds.json").read_text()).items()
]


@pytest.mark.parametrize(("dataset", "clip_id", "kind"), _golden_clips)
def test_make_clip__equals_the_authors_scripts_bit_for_bit(dataset: str, clip_id: str, kind: str) -> None:
    policy = dataset_spec(dataset).paper_policy
    clip = make_clip(parse_naively(_texts(dataset)[clip_id]), policy, KINECT_V2)
    with np.load(GOLDEN / dataset / "expected.npz") as golden:
        expected = golden[clip_id]
    rows = both_slots(clip, policy)
    assert rows.shape == expected.shape
    assert rows.tobytes() == expected.tobytes()
    assert clip.valid_frames == count_as_loader(expected, 25)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not there")
def test_make_clip__equals_the_authors_scripts_on_real_files() -> None:
    expected = json.loads((GOLDEN / "ntu_sample_expected.json").read_text())
    found = {}
    with zipfile.ZipFile(SAMPLE) as archive:
        for name in archive.namelist():
            clip = make_clip(parse_naively(archive.read(name)), PAPER, KINECT_V2)
            digest = hashlib.sha256(both_slots(clip, PAPER).tobytes()).hexdigest()[:16]
            bodies, frames = clip.joints.shape[:2]
            found[Path(name).stem] = {"frames": frames, "bodies": bodies, "sha256": digest}
    assert found == expected


@st.composite
def _small_files(draw: st.DrawFn) -> RawBodies:
    """Draw files of 3-joint bodies that come, go, return and double, with coordinates that often cancel out."""
    frames = draw(st.integers(12, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bodies = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, frames - 1))
        length = min(draw(st.integers(1, 40)), frames - start)
        wide = draw(st.sampled_from((0, 1, 3)))
        joints = rng.integers(-2 - wide, 3, (length, 3, 3)).astype(np.float32)
        joints[rng.random(length) < draw(st.sampled_from((0, 0.2)))] = 0
        bodies.append((draw(st.integers(0, 4)), start, joints))
    return make_raw(*bodies)


@given(_small_files())
@settings(max_examples=300, deadline=None)
def test_make_clip__equals_a_frame_by_frame_reading_of_the_rules(raw: RawBodies) -> None:
    try:
        expected = clean_naively(raw, TRIANGLE.centre)
    except CannotCleanError:
        with pytest.raises(RawFileError):
            make_clip(raw, PAPER, TRIANGLE)
        return
    valid = np.count_nonzero(expected.reshape(len(expected), -1, 3, 3).sum(axis=(1, 2, 3)))
    if not valid:
        with pytest.raises(RawFileError, match="signed coordinate sum"):
            make_clip(raw, PAPER, TRIANGLE)
        return
    clip = make_clip(raw, PAPER, TRIANGLE)
    assert clip.joints.transpose(1, 0, 2, 3).reshape(expected.shape).tobytes() == expected.tobytes()
    assert clip.valid_frames == valid


def test_make_clip__short_second_body_leaves_one_slot() -> None:
    raw = make_raw((7, 0, make_body(20)), (8, 3, make_body(11)))
    assert make_clip(raw, PAPER, KINECT_V2).joints.shape == (1, 20, 25, 3)


def test_make_clip__frames_outside_the_only_body_left_are_cut() -> None:
    raw = make_raw((8, 0, make_body(5)), (7, 5, make_body(20)))
    assert make_clip(raw, PAPER, KINECT_V2).joints.shape == (1, 20, 25, 3)


def test_make_clip__bodies_one_after_the_other_keep_an_empty_second_slot() -> None:
    raw = make_raw((7, 0, make_body(20)), (8, 20, make_body(15)))
    joints = make_clip(raw, dataset_spec("ntu120").paper_policy, KINECT_V2).joints
    assert joints.shape == (2, 35, 25, 3)
    assert not joints[1].any()


def test_make_clip__without_denoising_short_bodies_stay() -> None:
    raw = make_raw((7, 0, make_body(5)), (8, 0, make_body(5, seed=1)))
    joints = make_clip(raw, PAPER.replaced(denoise=False), KINECT_V2).joints
    assert joints.shape == (2, 5, 25, 3)


def test_make_clip__one_frame_of_nwucla() -> None:
    raw = make_raw((0, 0, make_body(1)[:, :20]))
    clip = make_clip(raw, dataset_spec("nwucla").paper_policy, KINECT_V1)
    assert clip.joints.shape == (1, 1, 20, 3)
    assert not clip.joints[0, 0, KINECT_V1.centre].any()
    assert clip.valid_frames == 1


def test_make_clip__no_body_anywhere() -> None:
    with pytest.raises(RawFileError, match="no body in any of its 9 frames"):
        make_clip(make_raw(frames=9), PAPER, KINECT_V2)


def test_make_clip__several_bodies_all_short() -> None:
    raw = make_raw((7, 0, make_body(11)), (8, 0, make_body(11)))
    with pytest.raises(RawFileError, match="none with more than 11 frames"):
        make_clip(raw, PAPER, KINECT_V2)


def test_make_clip__id_twice_in_a_frame() -> None:
    raw = make_raw((7, 0, make_body(20)), (7, 10, make_body(1)))
    with pytest.raises(RawFileError, match="21 records from frame 0 on, but only 20 frames"):
        make_clip(raw, PAPER, KINECT_V2)


def test_make_clip__main_body_all_zeros() -> None:
    with pytest.raises(RawFileError, match="no frame with a position other than 0"):
        make_clip(make_raw((7, 0, np.zeros((20, 25, 3), np.float32))), PAPER, KINECT_V2)


def test_make_clip__no_valid_frame() -> None:
    with pytest.raises(RawFileError, match="no frame with a signed coordinate sum"):
        make_clip(make_raw((7, 0, np.ones((20, 25, 3), np.float32))), PAPER, KINECT_V2)


def test_make_clip__leaves_its_input_alone() -> None:
    raw = make_raw((7, 0, make_body(20)), (8, 0, make_body(20, seed=1)))
    before = raw.joints.copy()
    make_clip(raw, PAPER, KINECT_V2)
    np.testing.assert_array_equal(raw.joints, before)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from(("zeros", "copy")))
@settings(max_examples=50, deadline=None)
def test_count_valid_frames__one_slot_counts_like_two(seed: int, frames: int, empty_slot: str) -> None:
    rng = np.random.default_rng(seed)
    slots = (rng.integers(-1, 2, (frames, 1, 3, 3)) * rng.choice((1, 0.1, 1e-7), (frames, 1, 3, 1))).astype(np.float32)
    filled = np.concatenate((slots, slots if empty_slot == "copy" else np.zeros_like(slots)), axis=1)
    assert count_valid_frames(slots) == count_as_loader(filled.reshape(frames, -1), 3)


def test_paper_policy__only_ntu_is_denoised() -> None:
    assert [name for name in fixed_specs() if dataset_spec(name).paper_policy.denoise] == ["ntu60", "ntu120"]
