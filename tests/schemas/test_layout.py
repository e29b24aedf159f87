"""Layouts: joint maps, columns and names are checked as a whole, and every fault names its key."""

import time
from typing import Any

import pytest
from pydantic import ValidationError

from mamp_schemas.datasets.ntu import NTU60
from mamp_schemas.errors import ConfigError
from mamp_schemas.models.base import canonical_json, parse_model_data, parse_model_json
from mamp_schemas.models.dataset import dataset_identity, dataset_spec
from mamp_schemas.models.layout import NUMERIC_NAME_GROUPS, Layout
from mamp_schemas.models.layout_files import matches_pattern
from mamp_schemas.models.skeleton import AZURE_KINECT, COCO_17, KINECT_V2, MEDIAPIPE_33, SKELETONS, Skeleton

STICK = {"name": "stick", "centre": "hip", "joints": {"hip": "hip", "chest": "hip", "head": "chest"}}
DIGEST = "f6569bb7cbcc55529917e0c464489e19dd187f17baa74bba758b328fb6286dc3"
BY_POSITION = {"format": "csv", "coordinates": 0, "header": False}


def layout_data(**changes: object) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": "mine", "skeleton": STICK, "units": "metres",
        "files": {"format": "csv", "frame": "t", "coordinates": "{joint}_{axis}"},
        "names": r"s(?P<subject>\d+)_(?P<label>\w+)", "labels": "name", "classes": ["walk", "run"],
        "protocols": [{"name": "xsub", "column": "subject", "train": [1, 2]}],
    }  # fmt: skip
    return {**data, **changes}


def read(**changes: object) -> Layout:
    return parse_model_data(Layout, layout_data(**changes), "layout mine")


def test_layout__joint_map_becomes_a_skeleton() -> None:
    assert read().skeleton == Skeleton(name="stick", joints=("hip", "chest", "head"), parents=(0, 0, 1), centre=0)


@pytest.mark.parametrize("column", NUMERIC_NAME_GROUPS)
def test_layout__protocols_divide_by_any_number_of_a_name(column: str) -> None:
    protocol = {"name": "mine", "column": column, "train": [1]}
    layout = read(names=rf"(?P<{column}>\d+)_(?P<label>\w+)", protocols=[protocol])
    assert [layout.protocols[0].split_of(value) for value in (1, 2)] == ["train", "test"]


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_layout__skeleton_by_name(skeleton: Skeleton) -> None:
    assert read(skeleton=skeleton.name).skeleton == skeleton


@pytest.mark.parametrize("skeleton", ["kinect_v2", STICK], ids=["named", "map"])
def test_layout__read_back_from_a_store(skeleton: object) -> None:
    layout = read(skeleton=skeleton)
    assert parse_model_json(Layout, canonical_json(layout.model_dump(mode="json")), "store") == layout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skeleton": "kinect"}, r"skeleton: .*named ones are: kinect_v1, kinect_v2, azure_kinect, coco"),
        ({"skeleton": {**STICK, "centre": "hips"}}, r"skeleton: .*'hips' .* is none of the joints"),
        ({"skeleton": {**STICK, "root": 1}}, r"unknown key: skeleton\.root"),
        ({"skeleton": {**STICK, "joints": {"hip": "hip", "head": "neck"}}}, r"skeleton: .*'neck'"),
        ({"skeleton": {**STICK, "joints": {"hip": "hip", "head": "head"}}}, r"own parent; here: hip, head"),
        ({"skeleton": {**STICK, "joints": {"hip": "hip", "a": "b", "b": "a"}}}, r"'a' is not connected to the root"),
        ({"skeleton": {**STICK, "joints": {"hip": ["hip"]}}}, r"skeleton: .*none of the joints"),
        ({"skeleton": {"name": "stick", "joints": {"hip": "hip"}}}, r"missing key: skeleton\.centre\n"),
        ({"skeleton": {**STICK, "joints": {}}}, r"skeleton: .*'hip'"),
        ({"skeleton": 7}, r"skeleton: "),
        ({"files": {"format": "csv", "coordinates": 0, "framme": 1}}, r"unknown key: files\.framme\n"),
        ({"files": {"coordinates": 0}}, r"missing key: files\.format\n"),
        ({"files": {"format": "csv"}}, r"missing key: files\.coordinates\n"),
        ({"files": {"format": "csv", "coordinates": "x"}}, r"\{joint\} and \{axis\}"),
        ({"files": {"format": "csv", "frame": "t", "joint": "j", "coordinates": "{joint}_{axis}"}}, "three columns"),
        ({"files": {"format": "csv", "frame": "t", "joint": "j", "coordinates": ["x", "y"]}}, r"files\.coordinates"),
        ({"files": {"format": "csv", "body": "id", "coordinates": 2}}, "need a frame column"),
        ({"files": {"format": "csv", "header": False, "frame": "t", "coordinates": 2}}, "by position"),
        ({"files": {**BY_POSITION, "per_joint": ["x", "y"]}}, "x, y and z are among them"),
        ({"files": {**BY_POSITION, "per_joint": ["x", "y", "z", "v", "v"]}}, "names each number of a joint once"),
        ({"files": {**BY_POSITION, "joint_order": ["hip", "chest"]}}, "joint_order lacks 'head'"),
        ({"files": {**BY_POSITION, "joint_order": ["hip", "hip", "chest", "head"]}}, "names a joint twice"),
        ({"files": {**BY_POSITION, "unused": ["v*"]}}, "without a header, unused holds positions and ranges"),
        ({"files": {**BY_POSITION, "unused": "others"}}, r"files\.unused"),
        ({"files": {**BY_POSITION, "bodies_per_line": 2, "frame": 0, "body": 1}}, "files without body and joint"),
        ({"files": {**BY_POSITION, "repeated_frames": "keep"}}, "files with a frame column"),
        ({"files": {**BY_POSITION, "delimiter": ",", "decimal": ","}}, "decimal and delimiter are the same"),
        ({"files": {**BY_POSITION, "joint_lines": True}}, "three columns where each joint has a line"),
        ({"files": {**BY_POSITION, "label": 0}}, "files.label says where the label is where labels is 'file'"),
        ({"labels": "file", "names": ".*", "protocols": []}, "files.label says where the label is"),
        ({"files": {"format": "csv", "coordinates": "{joint}{axis}{body}"}}, "hold {body} where"),
        ({"files": {"format": "csv", "coordinates": "{joint}{axis}", "per_joint": ["x", "y", "z"]}}, "position"),
        ({"files": {"format": "csv", "coordinates": "{joint}{axis}", "joint_order": ["hip"]}}, "by position"),
        ({"files": {"format": "npy", "order": "TVX"}}, "order must name T, V and C"),
        ({"files": {"format": "json", "id": "track"}}, "where the list of bodies is"),
        ({"files": {"format": "xml"}}, "'csv', 'npy', 'mat', 'json'"),
        ({"units": "feet"}, r"units: .*'metres', 'centimetres', 'millimetres' or 'normalised'"),
        ({"accept": ["everything"]}, r"accept\..*'size', 'image', 'flat' or 'coincident'"),
        ({"axes": ["x", "x", "z"]}, "x, y and z once each"),
        ({"missing": "guess"}, r"missing: .*'refuse', 'zeros' or 'hold'"),
        ({"bodies": 3}, r"bodies: "),
        ({"fps": 0}, r"fps: "),
        ({"names": "("}, "not a regular expression"),
        ({"names": r"(?P<label>\w+)_(?P<actor>\d+)"}, "group 'actor'"),
        ({"names": r"s(?P<subject>\d+)"}, "group 'label' where labels is 'name'"),
        ({"labels": "none"}, "group 'label' where labels is 'name'"),
        ({"names": ".*", "labels": "none", "classes": []}, "xsub goes by subject"),
        ({"classes": []}, "classes are needed"),
        ({"classes": ["walk", "walk"]}, "classes must differ"),
        ({"classes": [1, 2]}, r"classes\.0: .*string \(got 1\)"),
        ({"protocols": [layout_data()["protocols"][0]] * 2}, "protocols must have different names"),
        ({"colour": "red"}, "unknown key: colour"),
    ],
    ids=str,
)  # fmt: skip
def test_layout__faults_name_their_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(**changes)


def test_layout__units_are_never_guessed() -> None:
    data = layout_data()
    del data["units"]
    with pytest.raises(ConfigError, match="missing key: units"):
        parse_model_data(Layout, data, "layout mine")


def test_describe__holds_classes_bodies_and_protocols() -> None:
    spec = read(bodies=2).dataset_spec()
    assert (spec.name, spec.title, spec.classes, spec.bodies) == ("custom", "mine", 2, 2)
    assert spec.protocol("xsub").split_of(2) == "train"
    assert spec.protocol("xsub").official_train is None


def test_describe_dataset__known_ones_need_no_layout() -> None:
    assert dataset_spec("ntu60", None) is NTU60


def test_identify__own_recordings_differ_by_their_whole_layout() -> None:
    names = {
        dataset_identity("custom", read()),
        dataset_identity("custom", read(units="millimetres")),
        dataset_identity("ntu60", None),
    }
    assert len(names) == 3
    assert "ntu60" in names


def test_skeletons__counts_of_joints() -> None:
    counts = {name: len(skeleton.joints) for name, skeleton in SKELETONS.items()}
    assert counts == {"kinect_v1": 20, "kinect_v2": 25, "azure_kinect": 32, "coco_17": 17, "mediapipe_33": 33}


@pytest.mark.parametrize(
    "skeleton", [COCO_17, MEDIAPIPE_33, KINECT_V2, AZURE_KINECT], ids=lambda skeleton: skeleton.name
)
def test_skeletons__both_sides_are_built_alike(skeleton: Skeleton) -> None:
    def mirrored(name: str) -> str:
        return name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")

    bones = {(name, skeleton.joints[parent]) for name, parent in zip(skeleton.joints, skeleton.parents, strict=True)}
    assert {(mirrored(name), mirrored(parent)) for name, parent in bones} == bones


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("v12", "V*", True),
        ("v12", "v", False),
        ("left_hip_conf", "*_conf", True),
        ("left_hip_conf", "*hip*", True),
        ("ab", "a*b*b", False),
        ("abcb", "a*b*b", True),
        ("a", "a*a", False),
        ("", "*", True),
        ("a" * 10_000, "*a" * 500 + "b", False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_matches_pattern__star_is_any_text(name: str, pattern: str, matches: bool) -> None:
    assert matches_pattern(name, pattern) == matches


def test_layout__digest_is_that_of_before_where_no_new_key_is_given() -> None:
    assert read().digest() == DIGEST


def test_layout__more_joints_than_a_body_has() -> None:
    joints = {"j0": "j0"} | {f"j{number}": f"j{number - 1}" for number in range(1, 40_000)}
    start = time.process_time()
    with pytest.raises(ValidationError, match="at most 1000 items"):
        Skeleton(name="long", joints=tuple(joints), parents=tuple(range(len(joints))), centre=0)
    assert time.process_time() - start < 10
