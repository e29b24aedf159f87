"""What bodies measure, which layouts they cannot be of, and what a store says of all its bodies."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.cleaning.plausibility import (
    count_sizes,
    find_implausible,
    measure_bodies,
    person_segments,
    sample_records,
)
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.body_sizes import BodySizes
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.skeleton import COCO_17, KINECT_V1, KINECT_V2, MEDIAPIPE_33, SKELETONS, Skeleton
from tests.pipeline.people import PERSON, person

ANONYMOUS = Skeleton(
    name="numbers", joints=tuple(f"j{number}" for number in range(20)), parents=KINECT_V1.parents, centre=1
)


def layout(skeleton: Skeleton = KINECT_V1, units: str = "metres", **changes: Any) -> Layout:
    data = {"name": "people", "skeleton": skeleton, "units": units, "files": {"format": "npy", "order": "TVC"}}
    return parse_model_data(Layout, {**data, **changes}, "layout people")


def reason(xyz: NDArray[np.float64], described: Layout) -> str:
    measures = measure_bodies(xyz, described.skeleton, described.metres_per_unit)
    assert measures is not None
    return find_implausible(measures, described)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_person_segments__of_every_built_in_skeleton(skeleton: Skeleton) -> None:
    assert len(person_segments(skeleton)) == 9


@pytest.mark.parametrize(
    "names",
    [
        ("SHOULDER_LEFT", "ELBOW_LEFT", "WRIST_LEFT", "HIP_LEFT", "KNEE_LEFT", "ANKLE_LEFT"),
        ("LShoulder", "LElbow", "LWrist", "LHip", "LKnee", "LAnkle"),
        ("left shoulder", "left elbow", "left hand", "left hip", "left knee", "left foot"),
        ("LeftUpperArm", "LeftForeArm", "LeftHand", "LeftUpLeg", "LeftKnee", "LeftFoot"),
    ],
)
def test_person_segments__of_other_spellings(names: tuple[str, ...]) -> None:
    skeleton = Skeleton(name="half", joints=names, parents=(0, 0, 1, 0, 3, 4), centre=0)
    assert [(first[0], second[0]) for first, second, _ in person_segments(skeleton)] == [(0, 1), (1, 2), (3, 4), (4, 5)]


def test_person_segments__none_of_a_hand() -> None:
    names = ("wrist", *(f"{finger}_{part}" for finger in ("thumb", "index") for part in ("mcp", "pip", "dip", "tip")))
    assert person_segments(Skeleton(name="hand", joints=names, parents=(0,) * 9, centre=0)) == ()


def test_measure_bodies__a_person_of_known_size() -> None:
    measures = measure_bodies(person(frames=100), KINECT_V1)
    assert measures is not None
    assert measures.stature == pytest.approx(1.75, abs=0.1)
    assert measures.span == pytest.approx(1.6, abs=0.1)
    assert (measures.joints, measures.zeros, measures.coincident) == (64 * 20, 0, 0)
    assert measures.torso_up == pytest.approx(0.5, abs=0.05)


def test_measure_bodies__missing_joints_and_zeros_do_not_count() -> None:
    xyz = person(frames=10)
    whole = measure_bodies(xyz, KINECT_V1)
    xyz[::2, 3] = np.nan
    xyz[1::2, 7] = 0
    measures = measure_bodies(xyz, KINECT_V1)
    assert measures is not None
    assert whole is not None
    assert measures.stature == pytest.approx(whole.stature, rel=0.01)
    assert measures.joints == 10 * 20 - 5
    assert measures.zeros == 5
    assert measure_bodies(np.zeros((3, 20, 3)), KINECT_V1) is None
    assert measure_bodies(np.full((3, 20, 3), np.nan), KINECT_V1) is None


def test_measure_bodies__coincident_joints_and_still_clips() -> None:
    xyz = np.repeat(person(frames=1), 4, axis=0)
    xyz[:, 7] = xyz[:, 6]
    measures = measure_bodies(xyz, KINECT_V1)
    assert measures is not None
    assert measures.coincident == 4
    assert measures.still


@pytest.mark.parametrize("skeleton", [KINECT_V1, ANONYMOUS], ids=["named", "anonymous"])
@pytest.mark.parametrize("units", ["metres", "centimetres", "millimetres"])
def test_find_implausible__right_and_wrong_units(skeleton: Skeleton, units: str) -> None:
    factors = {"metres": 1.0, "centimetres": 100.0, "millimetres": 1000.0}
    for said in factors:
        found = reason(person() * factors[units], layout(skeleton, said))
        hand_sized = skeleton is ANONYMOUS and factors[said] == 10 * factors[units]
        assert bool(found) == (said != units and not hand_sized)
        assert not found or f"these look like {units}: `units: {units}`" in found


def test_find_implausible__says_figures_and_the_key_that_lifts_the_check() -> None:
    found = reason(person() / 1000, layout())
    assert found.startswith("implausible: no person in metres measures that: median stature 0.0017 m")
    assert "largest extent 0.0016 m, bone 0.0002 m" in found
    assert found.endswith("put `accept: [size]` into the layout")
    assert reason(person() / 1000, layout(accept=["size"])) == ""


def test_find_implausible__thousand_times_too_small_for_joints_without_names() -> None:
    assert "largest extent 0.0016 m" in reason(person() / 1000, layout(ANONYMOUS))


@pytest.mark.parametrize("skeleton", [KINECT_V1, ANONYMOUS, MEDIAPIPE_33], ids=["named", "anonymous", "mediapipe_33"])
def test_find_implausible__image_coordinates(skeleton: Skeleton) -> None:
    generator = np.random.default_rng(0)
    landmarks = generator.uniform(0.2, 0.8, size=(30, len(skeleton.joints), 3))
    if skeleton is not MEDIAPIPE_33:
        landmarks = person() * 0.3 + [0.5, 0.5, 0]
    landmarks[..., 2] -= landmarks[:, :1, 2]
    found = reason(landmarks, layout(skeleton))
    assert "x and y are from 0 to 1, as in an image" in found
    assert "pose_world_landmarks" in found
    assert reason(landmarks, layout(skeleton, units="normalised")) == ""


def test_find_implausible__pixels_with_a_score_are_called_2d() -> None:
    scores = np.random.default_rng(0).uniform(size=(5, 20))
    pixels = person(frames=5) * [200, 200, 0] + [640, 360, 0]
    assert "2D input cannot be used yet" in reason(pixels, layout())
    pixels[..., 2] = scores
    found = reason(pixels, layout())
    assert "bodies are flat, 0." in found
    assert "2D input cannot be used yet" in found


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_find_implausible__a_constant_axis(axis: int) -> None:
    xyz = person()
    xyz[..., axis] = 1.0
    assert f"implausible: {'xyz'[axis]} is the same for all joints of a frame" in reason(xyz, layout())


def test_find_implausible__most_joints_at_zero_or_at_one_position() -> None:
    xyz = person()
    xyz[:, 4:] = 0
    assert "80 % of the joints are at (0, 0, 0)" in reason(xyz, layout())
    xyz[:, 4:] = xyz[:, :1]
    assert "80 % of the joints are exactly where another joint is" in reason(xyz, layout())
    xyz[:] = xyz[:, :1]
    assert "all joints of a frame are at one position" in reason(xyz, layout())


def test_find_implausible__scaled_by_the_torso() -> None:
    scaled = person() / 0.5
    assert "`units: normalised`" in reason(scaled, layout())
    assert reason(scaled, layout(units="normalised")) == ""


def test_find_implausible__children_seated_and_lying_people_and_noise_are_plausible() -> None:
    generator = np.random.default_rng(0)
    assert reason(person() * 0.5, layout()) == ""
    lying = person()[..., [1, 0, 2]]
    assert reason(lying, layout()) == ""
    assert reason(person() + generator.normal(scale=0.1, size=(20, 20, 3)), layout()) == ""
    assert reason(generator.normal(scale=0.3, size=(20, 17, 3)), layout(COCO_17)) == ""


def test_find_implausible__few_joints_are_no_person() -> None:
    stick = Skeleton(name="stick", joints=("hip", "chest", "head"), parents=(0, 0, 1), centre=0)
    assert reason(np.ones((2, 3, 3)) * [[[1], [2], [3]]], layout(stick)) == ""


def test_body_sizes__are_the_same_however_clips_are_divided() -> None:
    clips = [person(seed=seed, size=1 + 0.01 * seed) for seed in range(12)]
    counts = [count_sizes([sample_records(clip)], [len(clip)], KINECT_V1) for clip in clips]
    together = count_sizes([sample_records(clip) for clip in clips], [len(clip) for clip in clips], KINECT_V1)
    assert +sum(counts, Counter()) == +together
    whole = BodySizes.from_counts(sum(counts, Counter()))
    halves = BodySizes.from_counts(sum(counts[:5], Counter())).plus(BodySizes.from_counts(sum(counts[5:], Counter())))
    assert whole == halves
    assert whole.clips == 12
    assert whole.quantile("stature", 0.5) == pytest.approx(1.75 * 1.055, rel=0.05)
    assert "median stature 1." in whole.summary()
    assert list(whole.warnings()) == []


def test_body_sizes__doubts_name_wrong_units_upside_down_and_still_bodies() -> None:
    upside_down = np.repeat(person(frames=1), 4, axis=0) * [1, -1, 1] / 1000
    upside_down[:, 5:8] = 0
    sizes = BodySizes.from_counts(count_sizes([sample_records(upside_down)], [4], KINECT_V1))
    warnings = "\n".join(sizes.warnings())
    assert "the median stature is 0.00175 m, of persons it is 0.9 to 2.2 m" in warnings
    assert "axes: [x, -y, z]" in warnings
    assert "15 % of the joints are at (0, 0, 0)" in warnings
    assert "in 1 of 1 clips nothing moves" in warnings
    assert "median stature" not in "\n".join(sizes.warnings(metres=False))


def test_body_sizes__a_single_clip_in_other_units_is_counted() -> None:
    clips = [person(seed=number, frames=4) for number in range(9)]
    samples = [sample_records(clip) for clip in (*clips, 1000 * clips[0])]
    sizes = BodySizes.from_counts(count_sizes(samples, [4] * 10, KINECT_V1))
    assert [*sizes.warnings()] == [
        "in 1 of 10 clips the body is smaller than 0.03 m or larger than 10 m: check the units of their files"
    ]
    assert [*sizes.warnings(metres=False)] == []


def test_count_sizes__clips_of_one_frame_and_of_zeros() -> None:
    one, nobody = person(frames=1), np.zeros((5, 20, 3))
    counts = count_sizes([sample_records(one), sample_records(nobody)], [1, 5], KINECT_V1)
    sizes = BodySizes.from_counts(counts)
    assert (sizes.clips, sizes.still) == (1, 1)
    assert count_sizes([], [], KINECT_V1) == {}


def test_body_sizes__of_no_clip() -> None:
    assert BodySizes().summary() == "nothing to measure"
    assert list(BodySizes().warnings()) == []


def test_person__has_the_joints_of_kinect_v1() -> None:
    assert person().shape[1:] == (len(KINECT_V1.joints), 3) == PERSON.shape
    assert KINECT_V2.joints[1] == "spine_mid"


def test_body_sizes__a_store_whose_z_points_up_is_told_the_axes_that_turn_it() -> None:
    upright = person(frames=4)
    for axes, order, signs in (("[x, z, -y]", [0, 2, 1], [1, -1, 1]), ("[x, -z, y]", [0, 2, 1], [1, 1, -1])):
        turned = upright[..., order] * signs
        warnings = "\n".join(BodySizes.from_counts(count_sizes([sample_records(turned)], [4], KINECT_V1)).warnings())
        assert f"clips the torso is along z: z may point {'up' if signs[2] > 0 else 'down'}" in warnings
        assert f"axes: {axes}" in warnings
        assert "below the hips" not in warnings
        signs_of = [-1 if axis.startswith("-") else 1 for axis in axes.strip("[]").split(", ")]
        restored = turned[..., ["xyz".index(axis[-1]) for axis in axes.strip("[]").split(", ")]] * signs_of
        assert np.allclose(restored, upright)


def test_find_implausible__image_landmarks_of_which_the_legs_are_outside_of_the_image() -> None:
    webcam = (person() - [0.1, 0.1, 2.5]) * [0.9, -1.2, 0.9] + [0.5, 0.95, 0]
    assert (webcam[..., 1] > 1).mean() > 0.3
    assert "MediaPipe's image landmarks, it seems" in reason(webcam, layout())
    assert reason((person() - [0.1, 0.1, 2.5]) * [1, -1, 1], layout()) == ""  # world landmarks
    assert reason((person() - [0.1, 0.1, 2.5]) + [0.5, 0.95, 0], layout()) == ""  # a laboratory's origin on the floor


def test_find_implausible__inches_are_not_called_centimetres() -> None:
    found = reason(person() / 0.0254, layout())
    assert "look like" not in found
    assert "in centimetres the stature is 0.6" in found
