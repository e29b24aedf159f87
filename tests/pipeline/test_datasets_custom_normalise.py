"""From what a file holds to bodies in metres: units, axes, missing joints, bodies too many, and what names tell."""

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.custom.recordings import (
    clip_id,
    parse_recording,
    parse_recording_name,
)
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.policy import PAPER_POLICY
from tests.pipeline.custom_cases import NPY, npy_bytes, stick_layout, walk

NAN = float("nan")


def parse(xyz_MTVC: NDArray[Any], **changes: Any) -> RawBodies:
    return parse_recording(npy_bytes(xyz_MTVC), stick_layout(NPY, **changes))


def stack(*tracks: dict[int, NDArray[np.float32]], frames: int = 4) -> NDArray[np.float32]:
    nobody = np.full((3, 3), NAN, dtype=np.float32)
    return np.array([[track.get(frame, nobody) for frame in range(frames)] for track in tracks])


def gap(xyz_MTVC: NDArray[np.float32], *places: tuple[int, int]) -> NDArray[np.float32]:
    """Take away one coordinate of the first body's joints at (frame, joint): the joint as a whole is missing."""
    for frame, joint in places:
        xyz_MTVC[0, frame, joint, 1] = NAN
    return xyz_MTVC


def test_settle__millimetres_become_metres() -> None:
    pose = np.array([[[[1234, -5, 1], [2000, 1, 1], [7, 8, 9]]]], dtype=np.int32)
    assert parse(pose, units="millimetres").joints[0].tolist() == np.float32(pose[0, 0] / 1000).tolist()


def test_settle__axes_change_place_and_sign() -> None:
    pose = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
    assert parse(pose, axes=["-x", "z", "-y"]).joints[0, 0].tolist() == [-1, 3, -2]


def test_settle__a_body_without_any_position_is_not_in_the_frame() -> None:
    there, zeros = walk(2), {2: np.zeros((3, 3), dtype=np.float32)}
    raw = parse(stack({**there, **zeros}))
    assert raw.frames == 4
    assert raw.frame.tolist() == [0, 1]


def test_settle__a_missing_joint_is_refused_by_default() -> None:
    with pytest.raises(RawFileError, match="frame 2: joint 'head' has no position"):
        parse(gap(stack(walk(4)), (2, 2)))


def test_settle__missing_joints_as_zeros() -> None:
    raw = parse(gap(stack(walk(4)), (2, 2)), missing="zeros")
    assert raw.joints[2, 2].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(raw.joints[2, :2], walk(4)[2][:2])


def test_settle__zeros_never_move_the_origin() -> None:
    with pytest.raises(RawFileError, match="frame 0: joint 'hip' has no position; clips are centred on it"):
        parse(gap(stack(walk(4)), (0, 0)), missing="zeros")


def test_settle__missing_joints_are_held() -> None:
    raw = parse(gap(stack(walk(4)), (0, 2), (2, 2), (3, 2)), missing="hold")
    assert [pose[2].tolist() for pose in raw.joints] == [walk(4)[k][2].tolist() for k in (1, 1, 1, 1)]
    np.testing.assert_array_equal(raw.joints[:, :2], stack(walk(4))[0, :, :2])


def test_settle__each_body_holds_its_own_positions() -> None:
    both = gap(stack(walk(4), walk(4, seed=1)), (1, 2))
    raw = parse(both, missing="hold")
    np.testing.assert_array_equal(raw.joints[(raw.frame == 1) & (raw.body_id == 0)][0, 2], walk(4)[0][2])


def test_settle__nothing_to_hold() -> None:
    with pytest.raises(RawFileError, match="joint 'head' of a body has no position in any frame"):
        parse(gap(stack(walk(2), frames=2), (0, 2), (1, 2)), missing="hold")


def test_settle__keeps_the_bodies_that_move_most() -> None:
    still, slow, fast = (walk(4, step=step, seed=0) for step in (0.0, 0.5, 1.0))
    raw = parse(stack(slow, still, fast))
    assert sorted(set(raw.body_id.tolist())) == [0, 2]
    raw = parse(stack(slow, still, fast), bodies=1)
    assert raw.joints.tobytes() == stack(fast).tobytes()


@pytest.mark.parametrize(("value", "units"), [(101.0, "metres"), (np.inf, "metres"), (-100_001, "millimetres")])
def test_settle__positions_that_cannot_be(value: float, units: str) -> None:
    pose = stack(walk(4)).astype(np.float64)
    pose[0, 1, 2, 0] = value
    with pytest.raises(RawFileError, match=rf"frame 1, joint 'head': a coordinate of {value:g} {units} .* pixels"):
        parse(pose, units=units)


def test_make_clip__own_recordings_are_centred_and_not_denoised() -> None:
    layout = stick_layout(NPY)
    short = stack(walk(4), walk(4, seed=1))
    clip = make_clip(parse(short), PAPER_POLICY, layout.skeleton)
    np.testing.assert_array_equal(clip.joints, short - short[0, 0, 0])


def test_read_name__numbers_and_label() -> None:
    layout = stick_layout(
        NPY,
        names=r"s(?P<subject>\d+)c(?P<camera>\d+)e(?P<setup>\d+)r(?P<replication>\d+)_(?P<label>.+)",
        labels="name",
        classes=["sit down", "wave"],
    )
    info = parse_recording_name("day 1/s07c2e3r04_wave.npy", layout)
    assert info == ClipInfo("day 1/s07c2e3r04_wave", 1, subject=7, camera=2, setup=3, replication=4)


def test_read_name__a_group_may_be_left_out() -> None:
    layout = stick_layout(NPY, names=r"one(_s(?P<subject>\d+))?")
    assert parse_recording_name("one.npy", layout) == ClipInfo("one", -1)


def test_read_name__label_of_the_innermost_folder() -> None:
    layout = stick_layout(NPY, labels="folder", classes=["sit", "wave"])
    assert parse_recording_name("all/wave/01.npy", layout).label == 1


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("wave/s1.npy", "name 's1' does not match"),
        ("jump/s1_c1.npy", "label 'jump' is none of the layout's classes: sit, wave"),
        ("s1_c1.npy", "no label in its folder"),
        ("wave/s1_cB.npy", "camera 'B' in its name is not a number"),
        ("wave/s40000_c1.npy", "subject '40000' in its name is not a number from 0 to 32767"),
        ("wave/s٣_c1.npy", "subject '٣' in its name is not a number"),
    ],
)
def test_read_name__faults(member: str, reason: str) -> None:
    layout = stick_layout(NPY, labels="folder", classes=["sit", "wave"], names=r"s(?P<subject>\d+)_c(?P<camera>\w+)")
    with pytest.raises(RawFileError) as caught:
        parse_recording_name(member, layout)
    assert reason in caught.value.reason


def test_clip_id__is_ascii_and_tells_names_apart() -> None:
    ids = [clip_id(f"{name}.npy", ".npy") for name in ("a/müller 1", "a/muller 1", "a/50%", "a/50%25")]
    assert ids == ["a/m%C3%BCller 1", "a/muller 1", "a/50%25", "a/50%2525"]


def test_find_recording__goes_by_the_suffix_alone() -> None:
    reader = find_reader("custom", stick_layout(NPY))
    assert reader.parse_path("walk/one.npy") == ClipInfo("walk/one", -1)
    assert reader.parse_path("walk/one.csv") is None


def test_normalise__a_body_for_each_of_many_records() -> None:
    tracks = np.full((1, 20_000, 3, 3), NAN, dtype=np.float32).reshape(20_000, 1, 3, 3)
    tracks[:] = np.arange(9).reshape(3, 3) / 10
    tracks[1234] *= 2
    tracks[17] *= 3
    start = time.process_time()
    assert sorted(set(parse(tracks, bodies=2).body_id.tolist())) == [17, 1234]
    assert time.process_time() - start < 10
