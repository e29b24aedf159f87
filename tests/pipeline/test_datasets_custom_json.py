"""Own recordings as JSON: points in every shape, every fault with its place."""

import json
from typing import Any

import numpy as np
import pytest

from tests.pipeline.custom_cases import JOINTS, JSON, fault, parse

TRACKED = '{"track": 1, "pose": {"points": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}}'


@pytest.mark.parametrize(
    "joints",
    [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [{"x": 1, "y": 2, "z": 3, "visibility": 0.1}, {"x": 4, "y": 5, "z": 6}, {"x": 7, "y": 8, "z": 9}],
        {"head": [7, 8, 9], "hip": {"x": 1, "y": 2, "z": 3}, "chest": [4, 5, 6]},
    ],
    ids=["lists", "objects", "by name"],
)
def test_read_json__points(joints: object) -> None:
    raw = parse({"format": "json", "unused": ["visibility"]}, json.dumps([joints, None, [], joints]).encode())
    assert raw.joints[1].ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert raw.frame.tolist() == [0, 3]
    assert raw.frames == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"recording": {}}', "recording: no key 'frames' (looked for recording.frames)"),
        ('{"recording": {"frames": {}}}', "expected the list of frames, got an object"),
        ('{"recording": {"frames": [{"people": {}}]}}', "recording.frames.0.people: expected the list of bodies"),
        ('{"recording": {"frames": [{"people": [{"pose": {"points": [1]}}]}]}}', "people.0: no key 'track'"),
        (
            '{"recording": {"frames": [{"people": [%s, %s]}]}}' % ((TRACKED,) * 2),
            "frame 0: the same body a second time; without `id` in the layout's files",
        ),
        ('{"recording": {"frames": [{"people": [{"track": 1.5, "pose": {"points": [1]}}]}]}}', "got a number"),
    ],
)
def test_read_json__faults_of_structure(text: str, reason: str) -> None:
    assert reason in fault(JSON, text.encode()).reason


@pytest.mark.parametrize(
    ("joints", "reason"),
    [
        ("[[1,2,3],[1,2,3]]", "0: 2 joints, expected 3"),
        ("[[1,2],[1,2],[1,2]]", "0.0: 2 coordinates: 2D input cannot be used yet"),
        ("[[1,2,3],[1,2,3],[1,2,3,0.5]]", "0.2: 4 coordinates, expected 3"),
        ('[{"x":1,"y":2},null,null]', "0.0: no z"),
        ('{"hip":[1,2,3],"foot":[1,2,3]}', "0: the layout does not use 'foot'; to leave it: `unused: [\"foot\"]`"),
        ('[[1,2,"3"],null,null]', "0.0: expected a number, got text"),
        ("[[1,2,true],null,null]", "0.0: expected a number, got true or false"),
        ("[7,null,null]", "0.0: expected a point"),
        ("[[1,2,3],null,[1,2,3]]", "joint 'chest' has no position"),
        ("[[1,2,1" + "0" * 400 + "],null,null]", "the number is too large"),
        ("7", "0: expected joints, a list or an object, got a number"),
    ],
)
def test_read_json__faults_of_joints(joints: str, reason: str) -> None:
    assert reason in fault({"format": "json"}, f"[{joints}]".encode()).reason


def test_read_json__values_that_would_take_the_memory() -> None:
    assert "would take 2.4 GB of memory" in fault(JSON, b"[" + b"[]," * 25_000_000 + b"[]]").reason


def test_read_json__syntax_names_the_line() -> None:
    problem = fault({"format": "json"}, b"[\n[[1,2,3],\n]]")
    assert problem.line == 3


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b"\xff\xfe", b"[" + b"1" * 5_000 + b"]"], ids=["deep", "utf16", "long"]
)
def test_read_json__what_cannot_be_read(data: bytes) -> None:
    assert fault({"format": "json"}, data).reason


def by_name(frames: int = 3, **changes: Any) -> list[dict[str, Any]]:
    return [
        {**{joint: [0.1 * frame, 1.0, number] for number, joint in enumerate(JOINTS)}, **changes}
        for frame in range(frames)
    ]


def test_parse_json__names_of_joints_in_whatever_case() -> None:
    upper = [{name.upper(): point for name, point in frame.items()} for frame in by_name()]
    expected = parse({"format": "json"}, json.dumps(by_name()).encode())
    assert np.array_equal(parse({"format": "json"}, json.dumps(upper).encode()).joints, expected.joints)


def test_parse_json__joints_that_differ_in_case_only_are_refused() -> None:
    frame = {"hip": [0, 1, 0], "chest": [0, 1, 1], "HEAD": [0, 0, 0], "Head": [0, 0, 1]}
    assert "differ only in case" in fault({"format": "json"}, json.dumps([frame]).encode()).reason


def test_parse_json__an_id_as_number_and_as_text_is_one_body() -> None:
    frames = [
        {"people": [{"track": track, "pose": frame}]} for track, frame in zip([1, "1", 1], by_name(), strict=True)
    ]
    raw = parse({"format": "json", "bodies": "people", "id": "track", "joints": "pose"}, json.dumps(frames).encode())
    assert raw.body_id.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("content", "hint", "then"),
    [
        (
            [{"image": frame, "world": frame} for frame in by_name()],
            "`joints: image` or `joints: world`",
            {"joints": "world", "unused": ["image"]},
        ),
        ({"takes": by_name()}, "`frames: takes`", {"frames": "takes"}),
    ],
)
def test_parse_json__the_key_that_leads_to_the_joints_is_named_and_works(
    content: Any, hint: str, then: dict[str, Any]
) -> None:
    data = json.dumps(content).encode()
    assert hint in fault({"format": "json"}, data).reason
    assert len(parse({"format": "json", **then}, data).joints) == 3


def test_parse_json__a_list_of_bodies_that_are_lists_is_told_and_read() -> None:
    names = [f"j{number}" for number in range(5)]
    skeleton = {"name": "five", "centre": "j0", "joints": dict.fromkeys(names, "j0")}
    data = json.dumps([[[[number, 1.0, frame] for number in range(5)]] for frame in range(3)]).encode()
    assert '`bodies: ""`' in fault({"format": "json"}, data, skeleton=skeleton).reason
    assert parse({"format": "json", "bodies": ""}, data, skeleton=skeleton).joints.shape == (3, 5, 3)
