"""Own recordings as MATLAB's mat: variables packed or not, what is not used, and nothing allocated on a tag's word."""

import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_schemas.errors import ConfigError, RawFileError
from tests.pipeline.custom_cases import fault, parse, stick_layout
from tests.pipeline.reader_fuzz import mutate

MAT = {"format": "mat", "order": "VCT"}
STEPS = np.arange(1, 37, dtype=np.float64).reshape(4, 3, 3)
TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}


def element(kind: int, content: bytes, order: str) -> bytes:
    if 0 < len(content) <= 4:
        word = struct.pack(f"{order}I", len(content) << 16 | kind)
        return word + content.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def variable(name: str, array: NDArray[Any], flags: int = 6, order: str = "<") -> bytes:
    """Write an array as a variable of doubles, stored as the array's numbers."""
    parts = (
        element(6, struct.pack(f"{order}II", flags, 0), order),
        element(5, struct.pack(f"{order}{array.ndim}i", *array.shape), order),
        element(1, name.encode(), order),
        element(TYPES[array.dtype.str[1:]], array.astype(array.dtype.newbyteorder(order)).tobytes("F"), order),
    )
    return element(14, b"".join(parts), order)


def mat(*variables: bytes, packed: bool = False, order: str = "<") -> bytes:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")
    if packed:
        packs = [zlib.compress(content) for content in variables]
        variables = tuple(struct.pack(f"{order}II", 15, len(pack)) + pack for pack in packs)
    return head + b"".join(variables)


VCT = STEPS.transpose(1, 2, 0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1"])
def test_parse_mat__numbers_of_every_kind(dtype: str, order: str, packed: bool) -> None:
    data = mat(variable("d_skel", VCT.astype(dtype), order=order), packed=packed, order=order)
    assert parse(MAT, data).joints.tolist() == STEPS.tolist()


def test_parse_mat__a_single_frame_has_lost_its_last_axis() -> None:
    assert parse(MAT, mat(variable("d_skel", VCT[:, :, 0]))).joints.tolist() == STEPS[:1].tolist()


def test_parse_mat__every_variable_is_accounted_for() -> None:
    data = mat(variable("skel", VCT), variable("fps", np.array([[30.0]])), packed=True)
    assert "2 variables: 'skel', 'fps'; `variable`" in fault(MAT, data).reason
    assert "does not use 'fps'; to leave them: `unused: [\"fps\"]`" in fault({**MAT, "variable": "skel"}, data).reason
    for unused in (["FPS"], ["f*"], "rest"):
        assert len(parse({**MAT, "variable": "skel", "unused": unused}, data).joints) == 4
    assert "0 variables are called 'pose'" in fault({**MAT, "variable": "pose", "unused": "rest"}, data).reason
    with pytest.raises(ConfigError, match="variable names the array where others are unused"):
        stick_layout({**MAT, "unused": "rest"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a mat file of version 5"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "version 7.3"),
        (b"MATLAB 7.3 MAT-file".ljust(600), "'-v7'"),
        (mat(), "0 variables"),
        (mat(variable("a", VCT))[:-8], "cut short"),
        (mat(variable("a", VCT), packed=True)[:-8], "cut short"),
        (mat(variable("a", VCT, flags=1)), "is a cell array"),
        (mat(variable("a", VCT, flags=2)), "is a struct"),
        (mat(variable("a", VCT, flags=4)), "is text"),
        (mat(variable("a", VCT, flags=6 | 0x0800)), "complex numbers"),
        (mat(variable("a", VCT, flags=9 | 0x0200)), "true and false"),
        (mat(variable("a", VCT[:, :2])), "2D input cannot be used yet"),
        (mat(variable("a", VCT[:2])), "2 joints of 3 coordinates, expected 3 (stick)"),
        (mat(variable("a", VCT[:, :, :0])), "holds nothing"),
        (mat(variable("a", VCT).replace(struct.pack("<3i", 3, 3, 4), struct.pack("<3i", 3, 3, 2**30))), "expected 773"),
        (mat(variable("a", VCT).replace(struct.pack("<3i", 3, 3, 4), struct.pack("<3i", -3, -3, 4))), "of shape"),
        (mat(struct.pack("<II", 15, 8) + bytes(8)), "cannot be unpacked"),
        (mat(element(1, b"12345678", "<")), "where a variable is expected"),
    ],
)  # fmt: skip
def test_parse_mat__faults(data: bytes, reason: str) -> None:
    assert reason in fault(MAT, data).reason


def test_parse_mat__what_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamp_pipeline.datasets.custom.mat_files.MAX_RAW_BYTES", 10_000)
    data = mat(variable("a", np.zeros((3, 3, 1_000_000), "u1")), packed=True)
    assert "more than 10,000 bytes when unpacked" in fault(MAT, data).reason


def test_parse_mat__damaged_files_are_refused_or_read() -> None:
    draw = random.Random(0)
    for number in range(2_000):
        data = mutate(mat(variable("d_skel", VCT), packed=bool(number % 2)), draw)
        try:
            assert parse(MAT, data).joints.shape[1:] == (3, 3)
        except RawFileError:
            continue
