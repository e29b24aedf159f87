"""Own recordings: each column, key and number is read or named as unused, or the file is refused with its columns."""

import json
import re
from typing import Any

import numpy as np
import pytest
import yaml

from mamp_pipeline.datasets.custom.layouts import load_layout
from mamp_pipeline.datasets.custom.recordings import parse_positions, parse_recording
from mamp_schemas.errors import RawFileError
from tests.pipeline.custom_cases import JSON, WIDE, fault, npy_bytes, parse, stick_layout, walk, write

POSES = np.arange(1, 10, dtype=np.float64).reshape(3, 3)
"""A body of the stick figure: its numbers count."""


def csv_text(header: list[str], *rows: list[object]) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]).encode()


def strided(*others: object) -> list[object]:
    """Return a body's numbers with others after each joint's three."""
    return [value for joint in POSES.tolist() for value in (*joint, *others)]


LANDMARKS = csv_text(
    ["class", *(f"{axis}{joint}" for joint in (1, 2, 3) for axis in "xyzv")],
    ["wave", *strided(0.9)],
    ["wave", *strided(0.8)],
)
LANDMARKS_OF_JOINTS = csv_text([f"{axis}{joint}" for joint in ("hip", "chest", "head") for axis in "xyz"], strided())
BY_POSITION = {"format": "csv", "coordinates": 1}
NUMBERS = {"format": "csv", "coordinates": 0, "header": False}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({**BY_POSITION, "per_joint": ["x", "y", "z", "v"], "unused": ["class"]}, LANDMARKS),
        ({**BY_POSITION, "per_joint": ["x", "y", "z", "v"], "unused": [0]}, LANDMARKS),
        ({**BY_POSITION, "per_joint": ["x", "y", "z", "v"], "unused": "rest"}, LANDMARKS),
        ({**NUMBERS, "unused": ["9-"]}, csv_text([*strided(), 5, 6])),
        ({**NUMBERS, "unused": ["9-9", 10]}, csv_text([*strided(), 5, 6])),
        ({**NUMBERS, "per_joint": ["c", "x", "y", "z"]}, csv_text([7, *strided(7)[:-1]])),
        ({**NUMBERS, "joint_order": ["hip", "nose", "chest", "head"]}, csv_text([1, 2, 3, 0, 0, 0, *range(4, 10)])),
        ({**NUMBERS, "joint_order": ["head", "chest", "hip"]}, csv_text([7, 8, 9, 4, 5, 6, 1, 2, 3])),
        (
            {**WIDE, "unused": ["*_conf"]},
            csv_text(
                [
                    "frame",
                    "body",
                    "hip_conf",
                    *(f"{joint}_{axis}" for joint in ("hip", "chest", "head") for axis in "xyz"),
                ],
                [0, 7, 0.5, *strided()],
            ),
        ),
        (
            {
                "format": "csv",
                "joint_lines": True,
                "coordinates": [0, 1, 2],
                "header": False,
                "unused": [3],
                "delimiter": "whitespace",
            },
            b"1 2  3 1\n4 5 6\t1 \n7 8 9 0\n",
        ),
        (
            {"format": "json", "unused": ["v"]},
            json.dumps([[dict(zip("xyzv", [*p, 1], strict=True)) for p in POSES.tolist()]]).encode(),
        ),
        (
            {"format": "json", "per_joint": ["x", "y", "z", "v"]},
            json.dumps([[[*p, 1] for p in POSES.tolist()]]).encode(),
        ),
        ({"format": "json", "joint_order": ["hip", "nose", "chest", "head"]}, b"[[[1,2,3],null,[4,5,6],[7,8,9]]]"),
        (
            {"format": "json", "frames": "a.b", "unused": ["a.c", "n*e"]},
            b'{"note": 1, "a": {"c": 2, "b": [[[1,2,3],[4,5,6],[7,8,9]]]}}',
        ),
        ({"format": "json", "unused": ["foot"]}, b'[{"hip":[1,2,3],"foot":[0,0,1],"chest":[4,5,6],"head":[7,8,9]}]'),
        (
            {"format": "npy", "order": "TVC", "per_joint": ["x", "y", "z", "v"]},
            npy_bytes(np.pad(POSES, ((0, 0), (0, 1)))[None]),
        ),
        (
            {"format": "npy", "order": "CTV", "joint_order": ["hip", "chest", "head", "nose"]},
            npy_bytes(np.pad(POSES, ((0, 1), (0, 0))).T[:, None]),
        ),
    ],
    ids=str,
)
def test_parse_recording__what_a_layout_names_is_left(files: dict[str, Any], text: bytes) -> None:
    assert parse(files, text).joints[0].tolist() == POSES.tolist()


@pytest.mark.parametrize(
    ("files", "text", "reason"),
    [
        (BY_POSITION, LANDMARKS, "13 columns, of which the layout uses 9; not used: 'class' (0), 'y3' (10), 'z3' (11)"),
        (BY_POSITION, LANDMARKS, "3 joints of 3 need 9 columns from 1 on, found the names x1, y1, z1, v1"),
        (BY_POSITION, LANDMARKS, "for 4 numbers a joint: `per_joint: [x, y, z, v]`"),
        ({**BY_POSITION, "unused": "rest"}, LANDMARKS, "column 4, 'v1', would be read as x of joint 'chest'"),
        ({**BY_POSITION, "per_joint": ["x", "y", "z", "v"]}, LANDMARKS, 'to leave them: `unused: ["class"]`'),
        (NUMBERS, csv_text([*strided(), *strided()]), "found 18; for 2 bodies: `bodies_per_line: 2`"),
        (NUMBERS, csv_text([*strided(), 5]), "not used: 9; 3 joints of 3 need 9 columns from 0 on, found 10"),
        ({**NUMBERS, "unused": ["10-"]}, csv_text([*strided(), 5, 6]), "not used: 9;"),
        ({**NUMBERS, "per_joint": ["x", "y", "z", "v"]}, csv_text(strided()), "9 columns, the layout needs one at"),
        ({"format": "csv", "coordinates": 0}, csv_text(strided(), strided()), "numbers, where the layout expects"),
        (
            {"format": "csv", "coordinates": 0},
            csv_text([f"{j}_{a}" for j in ("head", "chest", "hip") for a in "xyz"], strided()),
            "column 0, 'head_x', would be read as x of joint 'hip'",
        ),
        (WIDE, write("wide", {7: walk(2)}, 2).replace(b"\n", b",\n", 1), "cells, the first line has 12"),
        (
            WIDE,
            write("wide", {7: walk(2)}, 2).replace(b"\n", b",note\n", 1),
            "not used: 'note' (11); to leave them: `unused: [\"note\"]`",
        ),
        ({"format": "csv", "coordinates": "{joint}_{axis}"}, b"hip_x;hip_y\n", 'separated otherwise: `delimiter: ";"`'),
        (
            {"format": "csv", "joint_lines": True, "coordinates": [0, 1, 2], "header": False},
            b"1,2,3\n4,5,6\n",
            "2 lines are not a multiple of 3",
        ),
        (
            {"format": "csv", "joint_lines": True, "coordinates": [0, 1, 2], "header": False},
            b"1,2,3,4\n",
            "not used: 3",
        ),
        (
            JSON,
            b'{"v": 1, "recording": {"frames": []}}',
            "top level: the layout does not use 'v'; to leave it: `unused: [\"v\"]`",
        ),
        (JSON, b'{"recording": {"fps": 30, "frames": []}}', "recording: the layout does not use 'recording.fps'"),
        (
            JSON,
            b'{"recording": {"frames": [{"people": [], "time": 0}]}}',
            "0: the layout does not use 'recording.frames.time'",
        ),
        (
            JSON,
            b'{"recording": {"frames": [{"people": [{"track": 1, "score": 1, "pose": {"points": []}}]}]}}',
            "people.score",
        ),
        ({"format": "json"}, b'[[{"x": 1, "y": 1, "z": 1, "v": 1}, null, null]]', "0.0: the layout does not use 'v'"),
        ({"format": "json"}, b'[[{"x": 1, "x": 2, "y": 1, "z": 1}, null, null]]', "the key 'x' is given twice"),
        ({"format": "json"}, b"[[[1,2,3,4],null,null]]", "4 coordinates, expected 3; `per_joint`"),
        ({"format": "npy", "order": "TVC"}, npy_bytes(np.ones((5, 3, 4))), "`per_joint` in the layout's files"),
        ({"format": "npy", "order": "TVC"}, npy_bytes(np.ones((5, 4, 3))), "`joint_order` in the layout's files"),
        ({"format": "npy", "order": "TVC"}, b"PK\x03\x04", "an archive, such as npz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parse_recording__what_is_not_accounted_for_is_refused(files: dict[str, Any], text: bytes, reason: str) -> None:
    assert reason in fault(files, text).reason


def test_parse_recording__several_bodies_in_a_line_by_position() -> None:
    raw = parse({**NUMBERS, "bodies_per_line": 2}, csv_text([*strided(), *(10 * value for value in strided())]))
    assert raw.body_id.tolist() == [0, 1]
    assert raw.joints[1].tolist() == (10 * POSES).tolist()


def test_parse_recording__several_bodies_in_a_line_by_header() -> None:
    header = [f"{axis}_{joint}_{body}" for joint in ("hip", "chest", "head") for axis in "xyz" for body in (2, 1)]
    files = {"format": "csv", "coordinates": "{axis}_{joint}_{body}", "bodies_per_line": 2}
    raw = parse(files, csv_text(header, [number for value in strided() for number in (10 * value, value)]))
    assert raw.joints.tolist() == [POSES.tolist(), (10 * POSES).tolist()]


@pytest.mark.parametrize("start", [0, 1])
def test_parse_recording__an_index_without_a_name_counts_the_lines(start: int) -> None:
    lines = write("wide", {7: walk(3)}, 3).decode().splitlines()
    named = [f",{lines[0]},", *(f"{start + number},{line}," for number, line in enumerate(lines[1:]))]
    assert (
        parse(WIDE, "\n".join(named).encode()).joints.tobytes()
        == parse(WIDE, "\n".join(lines).encode()).joints.tobytes()
    )
    named[-1] = "7" + named[-1][1:]
    problem = fault(WIDE, "\n".join(named).encode())
    assert (problem.line, "column 0 has no name and holds '7'" in problem.reason) == (4, True)


def test_parse_positions__label_of_a_column() -> None:
    files = {**BY_POSITION, "per_joint": ["x", "y", "z", "v"], "label": "Class"}
    layout = stick_layout(files, labels="file", classes=["sit", "wave"])
    assert parse_positions(LANDMARKS, layout).label == "wave"
    changed = LANDMARKS[::-1].replace(b"evaw", b"tis", 1)[::-1]
    assert "label 'sit', the lines before have 'wave'" in fault(files, changed, labels="file", classes=["sit"]).reason


def test_parse_positions__label_of_a_key() -> None:
    files = {"format": "json", "frames": "frames", "label": "meta.action"}
    layout = stick_layout(files, labels="file", classes=["7"])
    assert parse_positions(b'{"meta": {"action": 7}, "frames": [null]}', layout).label == "7"


def test_load_layout__mediapipe_33_leaves_scores_and_nothing_else() -> None:
    layout = load_layout("mediapipe_33")
    landmarks = [
        {"x": 0.1 * (k % 5), "y": -0.05 * k, "z": 0.1 * (k % 7), "visibility": 0.9, "presence": 1} for k in range(33)
    ]
    assert len(parse_recording(json.dumps([landmarks]).encode(), layout).frame) == 1


def test_parse_recording__all_keys_that_are_not_used_are_named_at_once() -> None:
    body = {"id": 3, "joints": [{"x": 1, "y": 1, "z": 1, "q": [1]}] * 3}
    content = {"fps": 30, "frames": [{"people": []}, {"time": 1, "people": [body]}]}
    files = {"format": "json", "frames": "frames", "bodies": "people", "joints": "joints"}
    reason = fault(files, json.dumps(content).encode()).reason
    remedy = re.search("unused: (.*)` in", reason)
    assert remedy is not None
    assert parse({**files, "unused": json.loads(remedy[1])}, json.dumps(content).encode()).frames == 2


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({**BY_POSITION, "unused": ["class"]}, LANDMARKS),
        ({**BY_POSITION, "per_joint": ["x", "y", "z", "v"]}, LANDMARKS),
        ({**NUMBERS}, csv_text([*strided(), *strided()])),
        ({**NUMBERS}, csv_text(strided(0.9))),
        ({**NUMBERS}, csv_text([*strided(), 5])),
        ({**NUMBERS}, csv_text([*strided(), *range(20)])),
        ({"format": "csv", "coordinates": 0}, csv_text(strided())),
        ({**NUMBERS, "delimiter": ";"}, b"1,5;2;3;4;5;6;7;8;9"),
        ({"format": "csv", "coordinates": "{axis}{joint}"}, LANDMARKS_OF_JOINTS.replace(b",", b";")),
        ({"format": "csv", "coordinates": "{axis}{joint}"}, LANDMARKS_OF_JOINTS.replace(b",", b"\t")),
        ({**NUMBERS, "frame": 0, "coordinates": 1}, csv_text([7, *strided()], [7, *strided()])),
    ],
    ids=str,
)
def test_parse_recording__remedies_in_messages_lead_out(files: dict[str, Any], text: bytes) -> None:
    reason = fault(files, text).reason
    remedies = [yaml.safe_load(item) for item in re.findall("`([a-z_]+: [^`]+)`", reason)]
    remedies += [{"repeated_frames": item} for item in re.findall("`(keep|first|last)`", reason)]
    assert remedies, reason
    assert any(_is_read({**files, **remedy}, text) for remedy in remedies), reason


def _is_read(files: dict[str, Any], text: bytes) -> bool:
    try:
        return len(parse(files, text).frame) > 0
    except RawFileError:
        return False
