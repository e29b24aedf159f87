"""The built-in layouts: they load, and read files of the form they describe."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mamp_pipeline.datasets.custom.layouts import list_layouts, load_layout
from mamp_pipeline.datasets.custom.recordings import parse_recording
from mamp_schemas.errors import ConfigError, MampctlError
from tests.mutations import mutated
from tests.pipeline.custom_cases import npy_bytes

POSES = np.random.default_rng(0).normal(scale=0.3, size=(4, 33, 3)).astype(np.float32)


def test_list_layouts__all() -> None:
    assert list_layouts() == ["azure_kinect", "azure_kinect_text", "coco_17", "kinect_v1", "kinect_v2", "mediapipe_33"]


@pytest.mark.parametrize("name", list_layouts())
def test_load_layout__has_the_skeleton_of_its_name(name: str) -> None:
    assert load_layout(name).skeleton.name == name.removesuffix("_text")


@pytest.mark.parametrize(("name", "joints"), [("kinect_v1", 20), ("kinect_v2", 25)])
def test_load_layout__kinect_reads_csv(name: str, joints: int) -> None:
    layout = load_layout(name)
    header = ["frame", "body", *(f"{joint}_{axis}" for joint in layout.skeleton.joints for axis in "xyz")]
    rows = [[str(k), "72057594037944738", *map(repr, pose[:joints].ravel().tolist())] for k, pose in enumerate(POSES)]
    text = "\n".join(",".join(row) for row in [header, *rows])
    raw = parse_recording(text.encode(), layout)
    assert raw.joints.tobytes() == POSES[:, :joints].tobytes()


def test_load_layout__coco_17_reads_npy_and_holds_missing_joints() -> None:
    poses = POSES[:, :17].copy()
    poses[2, 9] = np.nan
    raw = parse_recording(npy_bytes(poses), load_layout("coco_17"))
    expected = POSES[:, :17] * np.float32([-1, -1, 1])
    expected[2, 9] = expected[1, 9]
    np.testing.assert_array_equal(raw.joints, expected)


def test_load_layout__mediapipe_33_reads_landmarks() -> None:
    frames = [[dict(zip("xyz", joint, strict=True), visibility=0.9) for joint in pose] for pose in POSES.tolist()]
    raw = parse_recording(json.dumps([None, *frames]).encode(), load_layout("mediapipe_33"))
    np.testing.assert_array_equal(raw.joints, POSES * np.float32([-1, -1, 1]))
    assert raw.frame.tolist() == [1, 2, 3, 4]


def test_load_layout__azure_kinect_reads_json_and_text() -> None:
    poses = (1000 * POSES[:, :32]).round(3)
    body = {"joint_orientations": [[1, 0, 0, 0]] * 32}
    frames = [
        {"bodies": bodies, "frame_id": number, "num_bodies": len(bodies), "timestamp_usec": 33_333 * number}
        for number, bodies in enumerate(
            [[], *([{"body_id": 3, "joint_positions": pose, **body}] for pose in poses.tolist())]
        )
    ]
    content = {"bone_list": [], "joint_names": [], "k4abt_sdk_version": "1", "source_file": "a.mkv", "frames": frames}
    raw = parse_recording(json.dumps(content).encode(), load_layout("azure_kinect"))
    text = "".join(
        "\t".join(map(str, [number, *pose])) + "\t\n" for number, pose in enumerate(poses.reshape(4, -1).tolist())
    )
    again = parse_recording(text.encode(), load_layout("azure_kinect_text"))
    expected = (poses.astype(np.float64) * [-1, -1, 1] / 1000).astype(np.float32)
    np.testing.assert_array_equal(raw.joints, expected)
    np.testing.assert_array_equal(again.joints, expected)
    assert raw.frame.tolist() == [1, 2, 3, 4]


def test_load_layout__unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="The built-in ones are: azure_kinect, azure_kinect_text, coco_17, kinect_v1"):
        load_layout("openpose")


def test_load_layout__a_near_name_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"no layout is called 'coco17'\. Did you mean 'coco_17'"):
        load_layout("coco17")


def test_load_layout__file_faults_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nskeleton: coco_17\nunit: metres\nfiles: {format: npy, order: TVC}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:\n  missing key: units\n  unknown key: unit"):
        load_layout(str(file))


def test_load_layout__missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_layout(str(tmp_path / "no.yaml"))


OWN = """\
name: L
skeleton: {name: s, centre: Hip, joints: {Hip: Hip, Chest: Hip, Head: Chest}}
files: {format: csv, frame: t, coordinates: '{joint}_{axis}'}
units: metres
axes: [x, -y, z]
names: '(?P<label>\\w+)_s(?P<subject>\\d+)'
labels: name
classes: [a, b]
protocols: [{name: h, column: subject, train: [1, 2]}]
"""


@given(mutated(OWN))
@settings(deadline=5000, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_layout__any_text_is_a_layout_or_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    try:
        layout = load_layout(str(path))
    except MampctlError:
        return
    assert len(layout.skeleton.joints) == len(layout.skeleton.parents)
