"""Own recordings as npy: axes in any order, nothing allocated or unpickled on the word of a header."""

import numpy as np
import pytest

from tests.pipeline.custom_cases import fault, npy_bytes, parse

_HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"1," * 70 + b")}\n"
MANY_AXES = b"\x93NUMPY\x01\x00" + len(_HEADER).to_bytes(2, "little") + _HEADER + bytes(8)


@pytest.mark.parametrize("order", ["TVC", "TMVC", "CTVM", "MTVC", "VTC"])
def test_read_npy__orders(order: str) -> None:
    steps = np.arange(4 * 3 * 3, dtype=np.float64).reshape(4, 1, 3, 3) + 1
    stored, letters = (steps, "TMVC") if "M" in order else (steps[:, 0], "TVC")
    array = stored.transpose([letters.index(letter) for letter in order])
    raw = parse({"format": "npy", "order": order}, npy_bytes(np.asfortranarray(array)))
    assert raw.joints.tolist() == steps[:, 0].tolist()


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i4", "u1"])
def test_read_npy__kinds_of_numbers(dtype: str) -> None:
    raw = parse({"format": "npy", "order": "TVC"}, npy_bytes(np.arange(1, 19).reshape(2, 3, 3).astype(dtype)))
    assert raw.joints.ravel().tolist() == list(range(1, 19))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy_bytes(np.ones((5, 3, 2))), "2 coordinates: 2D input cannot be used yet"),
        (npy_bytes(np.ones((5, 4, 3))), "4 joints of 3 coordinates, expected 3 (stick) of 3"),
        (npy_bytes(np.ones((5, 3, 4))), "of 4 coordinates"),
        (npy_bytes(np.ones((5, 9))), "one axis for each letter of TVC"),
        (npy_bytes(np.ones((0, 3, 3))), "holds nothing"),
        (npy_bytes(np.ones((5, 3, 3)))[:-8], "352 bytes of numbers"),
        (npy_bytes(np.ones((5, 3, 3), dtype=bool)), "an array of bool"),
        (npy_bytes(np.ones((5, 3, 3), dtype=complex)), "complex128"),
        (b"PK\x03\x04", "not an npy file"),
        (b"", "not an npy file"),
        (npy_bytes(np.ones((5, 3, 3))).replace(b"(5, 3, 3)", b"(5,10**9)"), "not an npy file"),
        (npy_bytes(np.ones((5, 3, 3))).replace(b"(5, 3, 3), ", b"(999999999,3,3)"), "expected 71999999928"),
        (npy_bytes(np.ones((1, 3, 3))).replace(b"(1, 3, 3), }   ", b"(True, 3, 3), }"), "not of at most 32 whole"),
        (MANY_AXES, "an array of 70 axes"),
    ],
)
def test_read_npy__faults(data: bytes, reason: str) -> None:
    assert reason in fault({"format": "npy", "order": "TVC"}, data).reason


def test_read_npy__an_object_array_is_never_unpickled() -> None:
    array = np.empty((1, 3, 3), dtype=object)
    array[...] = [print]
    assert "an array of object" in fault({"format": "npy", "order": "TVC"}, npy_bytes(array)).reason
