"""NTU text: what is read, what is refused and why, by either parser."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.cleaning.jit import cached_njit
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.ntu import parse as ntu
from mamp_pipeline.datasets.ntu.dataset import parse_ntu_name
from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
from mamp_pipeline.datasets.ntu.parse import parse_ntu_lines
from mamp_schemas.errors import RawFileError
from tests.factories import BODY_ID, ZERO_POINTS, ntu_body, ntu_text, random_ntu_text
from tests.paths import GOLDEN, SHARED_DATA

Parse = Callable[[bytes], RawBodies]


@pytest.fixture(params=[parse_ntu_compiled, parse_ntu_lines], ids=["compiled", "lines"])
def parse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Parse:
    monkeypatch.setattr(ntu, "choose_parser", lambda: request.param)
    return ntu.parse_ntu


def assert_equal(found: RawBodies, expected: RawBodies) -> None:
    assert found.frames == expected.frames
    for name in ("frame", "body_id", "joints"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes()), name


def test_parse_ntu__frames_ids_and_joints(parse: Parse) -> None:
    points = [[f"{joint}.5", f"-{joint}.25", "3E-05"] for joint in range(25)]
    found = parse(ntu_text([[], [ntu_body(points), ntu_body(body_id=-7)], [ntu_body()]]))
    assert found.frames == 3
    assert found.frame.tolist() == [1, 1, 2]
    assert found.body_id.tolist() == [BODY_ID, -7, BODY_ID]
    assert found.joints.dtype == np.float32
    assert found.joints[0].tolist() == [[n + 0.5, -n - 0.25, float(np.float32(3e-5))] for n in range(25)]
    assert not found.joints[1:].any()


@pytest.mark.parametrize("frames", [0, 3])
def test_parse_ntu__no_bodies(parse: Parse, frames: int) -> None:
    found = parse(ntu_text([[]] * frames))
    assert (found.frames, found.frame.shape, found.joints.shape) == (frames, (0,), (0, 25, 3))


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n", 9), id="CRLF in places"),
        pytest.param(lambda text: text.replace(b"\n", b" \r\n"), id="blanks before CRLF"),
        pytest.param(lambda text: text.replace(b" ", b"  "), id="two spaces"),
        pytest.param(lambda text: text.replace(b" ", b"\t"), id="tabs"),
        pytest.param(lambda text: text.replace(b"\n", b" \n\t"), id="blanks around lines"),
        pytest.param(lambda text: text.replace(b" ", b" \r\v\f"), id="rare blanks"),
        pytest.param(lambda text: b"  " + text, id="leading blanks"),
        pytest.param(lambda text: text.removesuffix(b"\n"), id="no final line end"),
        pytest.param(lambda text: text + b"\n \r\n\n", id="blank lines at the end"),
        pytest.param(lambda text: b"0" + text, id="leading zero"),
        pytest.param(lambda text: b"+" + text, id="leading plus"),
    ],
)
def test_parse_ntu__layout_of_the_text(parse: Parse, rewrite: Callable[[bytes], bytes]) -> None:
    text = random_ntu_text(seed=1, frames=3, bodies=2)
    assert_equal(parse(rewrite(text)), parse(text))


GOOD = ntu_text([[ntu_body()], [ntu_body()]]).decode().splitlines()


@pytest.mark.parametrize(
    ("number", "line", "reason"),
    [
        (1, "x", "frame count 'x' is not a whole number of at least 0"),
        (1, "-2", "frame count '-2' is not a whole number of at least 0"),
        (1, "2 2", "frame count has 2 fields, expected 1"),
        (1, "9223372036854775808", "frame count '9223372036854775808' is not a whole number of at least 0"),
        (2, "", "body count has 0 fields, expected 1"),
        (2, "1.0", "body count '1.0' is not a whole number of at least 0"),
        (2, "0", "body count has 10 fields, expected 1"),
        (3, "1", "body line has 1 field, expected 10"),
        (3, GOOD[2].replace("7", "seven", 1), "body id 'seven2057594037931101' is not a 64-bit whole number"),
        (4, "26", "joint count is 26, expected 25"),
        (4, "0", "joint count is 0, expected 25"),
        (5, GOOD[4] + " 4", "joint line has 13 fields, expected 12"),
        (29, "0 0 0 0 0 0 0 0 0 0 0 \r", "joint line has 11 fields, expected 12"),
        (29, "0 0 0", "joint line has 3 fields, expected 12"),
        (29, GOOD[4].replace("0", "nan", 1), "joint value 'nan' is not a finite float32 number"),
        (30, "two", "body count 'two' is not a whole number of at least 0"),
        (57, GOOD[4] + "\n1", "unexpected text after the last of 2 frames"),
    ],
)
def test_parse_ntu__line_at_fault(parse: Parse, number: int, line: str, reason: str) -> None:
    lines = [*GOOD[: number - 1], line, *GOOD[number:]]
    with pytest.raises(RawFileError) as caught:
        parse("\n".join(lines).encode())
    expected = 58 if reason.startswith("unexpected") else 3 if line == "0" and number == 2 else number
    assert (caught.value.reason, caught.value.line) == (reason, expected)


@pytest.mark.parametrize(
    ("kept", "place"),
    [
        (0, "the frame count; expected a frame count"),
        (1, "frame 1 of 2; expected a body count"),
        (2, "frame 1 of 2; expected a body line"),
        (3, "frame 1 of 2; expected a joint count"),
        (28, "frame 1 of 2; expected a joint line"),
        (29, "frame 2 of 2; expected a body count"),
        (56, "frame 2 of 2; expected a joint line"),
    ],
)
@pytest.mark.parametrize("ending", ["", "\n", "\n\n \r\n"])
def test_parse_ntu__truncated(parse: Parse, kept: int, place: str, ending: str) -> None:
    with pytest.raises(RawFileError) as caught:
        parse(("\n".join(GOOD[:kept]) + ending).encode())
    assert caught.value.reason == f"file ends after this line, inside {place}"
    assert caught.value.line == kept


@pytest.mark.parametrize("number", [1, 2])
def test_parse_ntu__count_out_of_proportion(parse: Parse, number: int) -> None:
    lines = [*GOOD[: number - 1], "1000000000", *GOOD[number:]]
    with pytest.raises(RawFileError, match=r"file ends after this line|body line has 1 field"):
        parse("\n".join(lines).encode())


def test_parse_ntu__deferred_numbers_of_a_whole_file(parse: Parse) -> None:
    digits = "1234567890123456789012345678901234567890"
    points = [[f"0.{digits[k:]}", f"{digits[k:]}e-30", f"-{k}"] for k in range(25)]
    found = parse(ntu_text([[ntu_body(points)] * 20] * 2))
    expected = np.array([[np.float32(float(value)) for value in point] for point in points])
    assert np.array_equal(found.joints, np.broadcast_to(expected, (40, 25, 3)))


@pytest.mark.parametrize("archive", sorted(GOLDEN.glob("ntu*/raw.zip")), ids=lambda path: path.parent.name)
def test_parse_ntu__golden_files(parse: Parse, archive: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist()[::4]:
            assert_equal(parse(files.read(name)), parse_ntu_lines(files.read(name)))


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the real sample files are not there")
def test_parse_ntu__real_files(parse: Parse) -> None:
    expected = json.loads((GOLDEN / "ntu_sample_expected.json").read_text())
    with zipfile.ZipFile(SHARED_DATA / "ntu_sample.zip") as files:
        for name in files.namelist():
            found = parse(files.read(name))
            assert len(set(found.frame.tolist())) == expected[name.removesuffix(".skeleton")]["frames"]
            assert_equal(found, parse_ntu_lines(files.read(name)))


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the real malformed files are not there")
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("S001C001P001R001A001.skeleton", "line 3: body line has 1 field, expected 10"),
        ("S001C001P001R001A002.skeleton", "line 6: joint line has 13 fields, expected 12"),
    ],
)
def test_parse_ntu__real_malformed_files(parse: Parse, name: str, error: str) -> None:
    with zipfile.ZipFile(SHARED_DATA / "ntu_malformed.zip") as files, pytest.raises(RawFileError) as caught:
        parse(files.read(name))
    assert str(caught.value) == error


def test_parse_ntu_name__every_part_of_the_name() -> None:
    assert parse_ntu_name("S018C002P042R001A120.skeleton") == ClipInfo("S018C002P042R001A120", 119, 42, 2, 18, 1)


@pytest.mark.parametrize("name", ["S018C002P042R001A120.txt", "S18C002P042R001A120.skeleton", "x", ""])
def test_parse_ntu_name__other_names(name: str) -> None:
    assert parse_ntu_name(name) is None


def test_choose_parser__compiled_where_numba_is_installed() -> None:
    assert ntu.choose_parser() is parse_ntu_compiled


def test_choose_parser__line_parser_where_numba_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "mamp_pipeline.cleaning.jit")
    monkeypatch.delitem(sys.modules, "mamp_pipeline.datasets.ntu.fast")
    monkeypatch.delitem(sys.modules, "mamp_pipeline.datasets.ntu.vector_ops")
    monkeypatch.delattr("mamp_pipeline.datasets.ntu.fast")
    assert ntu.choose_parser.__wrapped__() is parse_ntu_lines


def test_parse_ntu__numba_is_imported_by_the_first_parse() -> None:
    loaded = "import sys; from mamp_pipeline.datasets.ntu import parse as ntu; print('numba' in sys.modules)"
    again = "ntu.parse_ntu(b'0'); print('numba' in sys.modules)"
    command = [sys.executable, "-c", f"{loaded}; {again}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]


def test_cached_njit__no_folder_for_a_cache() -> None:
    """Numba has no folder to cache a function in that has no source file."""
    namespace: dict[str, Callable[[int], int]] = {}
    exec("def double(value):\n    return 2 * value", namespace)
    assert cached_njit(namespace["double"])(21) == 42


def test_parse_ntu__point_at_the_very_end_of_the_text(parse: Parse) -> None:
    points = [*ZERO_POINTS[:24], ("1.5", "2.5", "-3.5")]
    body = ntu_body(points)
    body[-1] = "1.5 2.5 -3.5 0 0 0 0 0 0 0 0 0"
    assert parse(ntu_text([[body]])).joints[0, 24].tolist() == [1.5, 2.5, -3.5]
