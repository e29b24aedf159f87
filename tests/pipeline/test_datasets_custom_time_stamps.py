"""Frame numbers and time stamps: read exactly, of one kind in a file; what is repeated is read as the layout says."""

import pytest

from tests.pipeline.custom_cases import LONG, fault, parse

LINES = {"format": "csv", "header": False, "frame": 0, "coordinates": 1}


def lines(*stamps: str) -> bytes:
    """Return a line for each stamp, in which every number is the line's number."""
    return "\n".join(",".join([stamp, *[str(number)] * 9]) for number, stamp in enumerate(stamps, 1)).encode()


def order(*stamps: str) -> list[float]:
    """Return the numbers of lines in the order of their frames."""
    return parse(LINES, lines(*stamps)).joints[:, 0, 0].tolist()


@pytest.mark.parametrize(
    "stamps",
    [
        ("9", "10", "-1"),
        ("1.5", "1e1", ".25"),
        (f"{2**60}", f"{2**60 + 1}", f"{2**60 - 1}"),
        ("1469182402.284123456", "1469182402.284123457", "1469182402.284123455"),
        ("9:59:59.9", "12:00:00", "09:59:59"),
        ("00:59.5", "01:00.25", "00:00"),
        ("2023-05-01 12:00:00.033", "2023-05-02 00:00:00", "2023-05-01T12:00:00"),
        ("2023/05/01 12:00:00,5", "2023-05-01 12:00:01", "2023-05-01 12:00:00"),
        ("2023-05-01T12:00:00.0000001Z", "2023-05-01T12:00:00.0000002Z", "2023-05-01T12:00:00Z"),
        ("2023-05-01T12:00:00+00:00", "2023-05-01T12:00:00-01:00", "2023-05-01T13:00:00+02:00"),
    ],
    ids=str,
)
def test_parse_csv__frames_are_ordered_by_numbers_and_times(stamps: tuple[str, ...]) -> None:
    assert order(*(f'"{stamp}"' for stamp in stamps)) == [3, 1, 2]


@pytest.mark.parametrize(
    ("stamps", "line", "reason"),
    [
        (("0", "12:00:00"), 2, "'12:00:00' is a time of day, in another form than the lines before"),
        (("12:00", "12:00:01"), 2, "in another form"),
        (("2023-05-01 12:00:00", "2023-05-01 12:00:00Z"), 2, "is a date and time with its zone, in another form"),
        (("23:59:59.9", "00:00:00.1"), 2, "more than 12 hours apart"),
        (("2023-02-30 12:00:00",), 1, "no date of the calendar"),
        (("12:60:00",), 1, "neither a frame number nor a time stamp"),
        (("1_000",), 1, "neither a frame number"),
        (("nan",), 1, "neither a frame number"),
        (("inf",), 1, "neither a frame number"),
        (("9" * 5000,), 1, "neither a frame number"),
        (("1e999999999",), 1, "neither a frame number"),
        (("\u0661",), 1, "neither a frame number"),
        (("12:00:00 PM",), 1, "neither a frame number"),
    ],
)
def test_parse_csv__faults_of_time_stamps(stamps: tuple[str, ...], line: int, reason: str) -> None:
    problem = fault(LINES, lines(*stamps))
    assert problem.line == line
    assert reason in problem.reason


@pytest.mark.parametrize(("policy", "expected"), [("keep", [1, 2, 3, 4, 5]), ("first", [1, 2, 5]), ("last", [1, 4, 5])])
def test_parse_csv__repeated_frames(policy: str, expected: list[float]) -> None:
    raw = parse({**LINES, "repeated_frames": policy}, lines("10", "20", "20", "20.0", "30"))
    assert raw.joints[:, 0, 0].tolist() == expected
    assert raw.frame.tolist() == list(range(len(expected)))


def test_parse_csv__repeated_frames_are_refused_with_what_to_do() -> None:
    problem = fault(LINES, lines("10", "20", "20.0"))
    assert problem.line == 3
    assert "with the frame number or time stamp of line 2; `repeated_frames` in the layout's files" in problem.reason


@pytest.mark.parametrize("policy", ["first", "last"])
def test_parse_csv__a_repeated_frame_without_a_position_is_not_taken(policy: str) -> None:
    data = b"0,1,1,1,1,1,1,1,1,1\n1,,,,,,,,,\n1,2,2,2,2,2,2,2,2,2\n1,,,,,,,,,"
    assert parse({**LINES, "repeated_frames": policy}, data).joints[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize(("policy", "expected"), [("keep", [1, 4]), ("first", [1]), ("last", [4])])
def test_parse_csv__repeated_frames_of_joint_lines(policy: str, expected: list[float]) -> None:
    text = "\n".join(f"5,p,{joint},{number},{number},{number}" for number in (1, 4) for joint in ("Hip", "CHEST", "2"))
    raw = parse({**LONG, "repeated_frames": policy}, text.encode())
    assert raw.joints[:, :, 0].tolist() == [[value] * 3 for value in expected]


def test_parse_csv__keep_repeats_each_body_for_itself() -> None:
    files = {"format": "csv", "header": False, "frame": 0, "body": 1, "coordinates": 2, "repeated_frames": "keep"}
    text = "\n".join(",".join([*stamp, *"123456789"]) for stamp in ("0a", "0b", "0a", "1b"))
    raw = parse(files, text.encode())
    assert list(zip(raw.frame.tolist(), raw.body_id.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (2, 1)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_parse_csv__encodings_with_a_byte_order_mark(encoding: str) -> None:
    text = "füße,hip_x,hip_y,hip_z,chest_x,chest_y,chest_z,head_x,head_y,head_z\r\n0,1,2,3,4,5,6,7,8,9\r\n"
    files = {"format": "csv", "frame": "FÜSSE", "coordinates": "{joint}_{axis}"}
    assert parse(files, text.encode(encoding)).joints.ravel().tolist() == list(range(1, 10))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0" * 99, "NUL characters, 100% of the file: a damaged download or copy"),
        ("0,1,2,3,4,5,6,7,8,9".encode("utf-16-le"), "or UTF-16 without a byte order mark"),
        (b"\xff\xfe0", "not UTF-16 text"),
        (b"0,\xfc", "not UTF-8 text"),
    ],
)
def test_parse_csv__other_text_is_refused(data: bytes, reason: str) -> None:
    assert reason in fault(LINES, data).reason


def test_parse_csv__blank_lines_with_a_frame_column() -> None:
    data = b"\n0,1,1,1,1,1,1,1,1,1\n  \n,,,,,,,,,\n1,2,2,2,2,2,2,2,2,2\n , , , , , , , , , \n\n"
    assert parse(LINES, data).frames == 2


def test_parse_csv__empty_lines_are_frames_where_lines_are_the_frames() -> None:
    row = ",".join("123456789")
    data = f"{row}\n{',' * 8}\n\n{row}\n{',' * 8}\n".encode()
    raw = parse({"format": "csv", "header": False, "coordinates": 0}, data)
    assert (raw.frames, raw.frame.tolist()) == (3, [0, 2])


def test_parse_csv__blanks_and_missing_words() -> None:
    data = b'0, 1 ,2,3,"4", 5,6, NULL , n/a,nan\n1,1,2,3,4,5,6,7,8,9'
    raw = parse(LINES, data, missing="hold")
    assert raw.joints[0].ravel().tolist() == list(range(1, 10))


@pytest.mark.parametrize("word", ["1_0", "0x1", "one", "1.2.3", "\u0661", "1,5", "--1"])
def test_parse_csv__what_is_no_number(word: str) -> None:
    assert "is not a number" in fault(LINES, f'0,1,2,3,4,5,6,7,8,"{word}"'.encode()).reason


def test_parse_csv__decimal_commas() -> None:
    data = b"0,5;1,5;2;3;4;5;6;7;8;-1,25e1\n1,5;" + b";".join([b"1"] * 9)
    files = {**LINES, "delimiter": ";"}
    raw = parse({**files, "decimal": ","}, data)
    assert raw.joints[0, [0, 2], [0, 2]].tolist() == [1.5, -12.5]
    assert (
        '`decimal: ","` in the layout\'s files reads decimal commas'
        in fault(files, data.replace(b"0,5;", b"0;", 1)).reason
    )
    assert (
        "'1.5' is not a number with a decimal comma"
        in fault({**files, "decimal": ","}, data.replace(b";1,5", b";1.5")).reason
    )
