"""Own recordings as CSV: columns found by name or position, every fault with its line."""

import pytest

from tests.pipeline.custom_cases import LONG, WIDE, fault, parse, walk, write


def test_read_csv__columns_by_header_in_whatever_case_and_order() -> None:
    text = b"note;HEAD_X;head_y;head_z;hip_x;hip_y;hip_z;chest_x;chest_y;chest_z\nhello;7;8;9;1;2;3;4;5;6\n"
    raw = parse({"format": "csv", "delimiter": ";", "coordinates": "{joint}_{axis}", "unused": ["NOTE"]}, text)
    assert raw.joints.ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_read_csv__positions_without_header() -> None:
    raw = parse(
        {"format": "csv", "header": False, "coordinates": 1, "unused": [0]},
        b"a,1,2,3,4,5,6,7,8,9\nb,1,2,3,4,5,6,7,8,8\n",
    )
    assert raw.frame.tolist() == [0, 1]
    assert raw.joints[1].ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_read_csv__frames_are_ordered_by_time_stamps_beyond_2_to_53() -> None:
    text = "\n".join(f"{time},p,{joint},{k},1,1" for k, time in enumerate((2**60 + 1, 2**60)) for joint in range(3))
    raw = parse(LONG, text.encode())
    assert raw.joints[:, 0, 0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"", 0, "empty"),
        (write("wide", {}, 0), 1, "no line of numbers in the file"),
        (b"frame,body\n", 1, "no column 'hip_x'; the columns are: frame, body"),
        (b"frame,body,hip_x,hip_y\n", 1, "no column 'hip_z': 2D input cannot be used yet"),
        (b"frame,frame,body,hip_x,hip_y,hip_z,chest_x,chest_y,chest_z,head_x,head_y,head_z\n", 1, "2 columns"),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1", 4, "4 cells, the first line has 11"),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1,1,1,1,1,1,1,one", 4, "'one' is not a number"),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1,1,1,1,1,1,1,\xe9", 4, "not UTF-8"),
        (
            write("wide", {7: walk(2)}, 2) + b"\n1,7,1,1,1,1,1,1,1,1,1",
            4,
            "the same body a second time, with the frame number or time stamp and body of line 3; `repeated_frames`",
        ),
        (
            write("wide", {7: walk(2)}, 2) + b"\n,7,1,1,1,1,1,1,1,1,1",
            4,
            "'' is neither a frame number nor a time stamp",
        ),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1,1,1,1,1,1,1,", 4, "joint 'head' has no position"),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1,1,1,1,1,1,1,640", 4, "640 metres is more than 100"),
        (write("wide", {7: walk(2)}, 2) + b"\n2,7,1,1,1,1,1,1,1,1,1e999", 4, "inf metres"),
        (write("wide", {7: walk(2)}, 2) + b'\n2,"' + b"7" * 200_000, 4, "not CSV"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_read_csv__faults_name_their_line(text: bytes, line: int, reason: str) -> None:
    problem = fault(WIDE, text)
    assert reason in problem.reason
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"0,7,hip,1,2,3\n0,7,foot,1,2,3", 2, "'foot' is neither a joint's name nor a number below 3"),
        (b"0,7,hip,1,2,3\n0,7,0,1,2,3", 2, "joint 'hip' is there already, on line 1; `repeated_frames`"),
        (b"0,7,hip,1,2", 1, "5 columns, the layout needs one at position 5"),
        (b"0,7,hip,1,2,3\n0,7,head,1,2,3", 1, "joint 'chest' has no position"),
    ],
)
def test_read_csv__faults_of_joint_lines(text: bytes, line: int, reason: str) -> None:
    problem = fault(LONG, text)
    assert reason in problem.reason
    assert problem.line == line


def test_read_csv__runs_of_blanks_are_told_how_to_be_read() -> None:
    files = {"format": "csv", "header": False, "delimiter": " ", "coordinates": 0}
    text = b"1 2 3 4 5 6 7 8 9\n1 2 3  4 5 6 7 8 9\n"
    assert "`delimiter: whitespace`" in fault(files, text).reason
    assert len(parse({**files, "delimiter": "whitespace"}, text).frame) == 2


def test_parse_csv__headers_that_write_the_same_words_otherwise() -> None:
    skeleton = {
        "name": "two",
        "centre": "hip_centre",
        "joints": {"hip_centre": "hip_centre", "left_hand": "hip_centre"},
    }
    files = {"format": "csv", "coordinates": "{joint}{axis}"}
    for header in (
        "HipCenterX,HipCenterY,HipCenterZ,LeftHandX,LeftHandY,LeftHandZ",
        "Hip Centre.x,hip-centre y,hipcentrez,left_hand_x,LEFT HAND Y,left.hand.z",
    ):
        raw = parse(files, f"{header}\n1,2,3,4,5,6\n".encode(), skeleton=skeleton)
        assert raw.joints.ravel().tolist() == [1, 2, 3, 4, 5, 6]
    twice = b"HipCenterX,Hip-CentreX,HipCenterY,HipCenterZ,LeftHandX,LeftHandY,LeftHandZ\n1,1,2,3,4,5,6\n"
    assert "2 columns are called 'hip_centrex'" in fault(files, twice, skeleton=skeleton).reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1,2,3,4,5,6,7,8,9\n" + b"\n" * 5_000_000, "more than 5,000,000 lines"),
        (b"12," * 2_000_000, "a line of more than 4,194,304 characters"),
        (b"1,2,3,4,5,6,7,8,9\n" + b'"a\nb",' * 1_000_000, "a line of more than 4,194,304 characters"),
    ],
    ids=["blank lines", "a long line", "a long row"],
)
@pytest.mark.parametrize("delimiter", [",", "whitespace"])
def test_read_csv__lines_that_would_take_the_memory(text: bytes, reason: str, delimiter: str) -> None:
    if delimiter == "whitespace":
        text = text.replace(b",", b" ").replace(b'a\nb"', b'a b"')
    files = {"format": "csv", "header": False, "coordinates": 0, "delimiter": delimiter}
    assert reason in fault(files, text).reason


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_read_csv__line_ends_in_and_between_rows(end: str) -> None:
    files = {"format": "csv", "header": False, "coordinates": 1, "unused": [0]}
    text = f'"a{end}b",1,2,3,4,5,6,7,8,9{end}c,1,2,3,4,5,6,7,8,8'.encode()
    assert parse(files, text).joints[:, 2, 2].tolist() == [9, 8]


def test_parse_csv__numbers_of_joints_from_1_on_are_told_and_read() -> None:
    files = {"format": "csv", "frame": 0, "joint": 1, "coordinates": [2, 3, 4], "header": False}
    data = b"0,1,1,2,3\n0,2,4,5,6\n0,3,7,8,9"
    assert "where the file's count from 1, begin `joint_order`" in fault(files, data).reason
    raw = parse({**files, "joint_order": ["none", "hip", "chest", "head"]}, data)
    assert raw.joints.ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
