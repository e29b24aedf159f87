"""Every coordinate equals `np.float32(float(text))`, bit for bit, whatever its spelling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
from mamp_pipeline.datasets.ntu.parse import parse_ntu_lines
from mamp_schemas.errors import RawFileError
from tests.factories import ZERO_POINTS, ntu_body, ntu_text

FLOAT32_MAX = float(np.finfo(np.float32).max)
DIGITS = st.text("0123456789", min_size=1, max_size=30)

values = (
    st.floats(-FLOAT32_MAX, FLOAT32_MAX)
    | st.floats(-10, 10)
    | st.floats(width=32, allow_infinity=False, allow_nan=False)
)
signs = st.sampled_from(["", "-", "+"])
fixed = st.builds("{}{}.{}".format, signs, DIGITS, DIGITS)
usual = st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.sampled_from("0123456789"), DIGITS)
bare = st.builds("{}{}{}".format, signs, st.sampled_from(["", "."]), DIGITS)
exponents = st.builds("{}{}{}".format, st.sampled_from("eE"), signs, st.integers(0, 50) | st.integers(0, 10**30))
spellings = st.one_of(
    values.map(repr),
    values.map("{:.7g}".format),
    values.map("{:.7G}".format),
    values.map("{:.9e}".format),
    usual,
    fixed,
    bare,
    fixed.map(lambda text: text.split(".")[0] + "."),
    st.builds("{}{}".format, usual | fixed | bare, exponents),
)


def fits(text: str) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.float32(float(text))))


@settings(max_examples=60, deadline=None)
@given(st.lists(spellings.filter(fits), min_size=75, max_size=75))
def test_parse_ntu__any_spelling(numbers: list[str]) -> None:
    text = ntu_text([[ntu_body([numbers[k : k + 3] for k in range(0, 75, 3)])]])
    expected = np.array([np.float32(float(number)) for number in numbers]).tobytes()
    for parser in (parse_ntu_compiled, parse_ntu_lines):
        found = parser(text)
        assert found is not None
        assert found.joints.tobytes() == expected


@pytest.mark.parametrize(
    "number",
    [
        "nan", "-nan", "inf", "-Infinity", "1_0", "0x10", "1,5", ".", "-", "+", "e5", ".e5", "1e", "1e+", "1e5.0",
        "--1", "+-1", "1-", "1..2", "1.2.3", "-.", "1e--5", "0.12x4567", "0.1234x67", "x.1234567", "0x1234567",
        "0.123456:", "0.12\x00456", "0.123456\x00", "\x00", "0.1234567\x80", "\xff.1234567", "1e39", "-3.4028236e38",
        "9" * 400, "1e99999999999999999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2])
def test_parse_ntu__no_number(number: str, place: int) -> None:
    points = [list(point) for point in ZERO_POINTS]
    points[24][place] = number
    text = ntu_text([[ntu_body(points)]]).decode().encode("latin-1")
    assert parse_ntu_compiled(text) is None
    with pytest.raises(RawFileError, match="joint value"):
        parse_ntu_lines(text)


@pytest.mark.parametrize(
    "number", ["-0.0", "-0", "-0.000", "-0e5", "3.4028235e38", "0." + "0" * 400 + "1", "0" * 400 + "1"]
)
def test_parse_ntu__edges(number: str) -> None:
    text = ntu_text([[ntu_body([(number, number, number)] * 25)]])
    for parser in (parse_ntu_compiled, parse_ntu_lines):
        found = parser(text)
        assert found is not None
        assert found.joints.tobytes() == np.full((25, 3), float(number), np.float32).tobytes()
