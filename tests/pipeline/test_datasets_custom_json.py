"""Own recordings as JSON: points in every shape, every fault with its place."""

import json

import pytest

from tests.pipeline.custom_cases import JSON, fault, parse

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
