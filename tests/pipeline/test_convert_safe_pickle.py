"""Hostile and damaged pickles are refused with a reason, and nothing in them runs."""

import collections
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamp_pipeline.convert.safe_pickle import PickledArray, load_pickle
from mamp_schemas.errors import RawInputError
from tests.pipeline.convert_cases import pyskl_content


class Call:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def load(tmp_path: Path, data: bytes) -> Any:
    path = tmp_path / "f.pkl"
    path.write_bytes(data)
    return load_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
def test_load_pickle__runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    data = pickle.dumps({"split": Call(os.system, f"touch {mark}")}, protocol)
    with pytest.raises(RawInputError, match=r"refused: it asks for (posix|os)\.system"):
        load(tmp_path, data)
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        Call(eval, "1"),
        Call(getattr, "a", "upper"),
        Call(__import__, "os"),
        Call(np.load, "f.npy"),
        Call(np.fromfile, "f.npy"),
        collections.OrderedDict(a=1),
        Path("a"),
        np.random.default_rng,
        np.dtype,
        object(),
    ],
    ids=["eval", "getattr", "import", "load", "fromfile", "OrderedDict", "path", "function", "class", "object"],
)
def test_load_pickle__anything_but_plain_values_is_refused(tmp_path: Path, value: object) -> None:
    # A class by its bare name is a stand-in that no check of the layout takes for a value.
    data = pickle.dumps([value])
    if value is np.dtype:
        assert not isinstance(load(tmp_path, data)[0], str | int | list | dict | PickledArray)
    else:
        with pytest.raises(RawInputError, match="refused: it asks for"):
            load(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(np.array([{}, None])), "dtype O8"),
        (pickle.dumps(np.zeros(2, dtype=[("a", "f4")])), "dtype V4"),
        (b"cnumpy\ndtype\n(S'f4'\nI00\nI01\ntR(I3\nS'<'\nN(S'a'\nt}I4\nI1\nI0\ntb.", "array of records"),
        (b"cnumpy\nndarray\n((I1000000000\ntS'f4'\nctR.", "refused|not a readable"),
        (b"cnumpy\nndarray\n((I1000000000\ntS'<f4'\nc_codecs\nencode\n(S'abcd'\nS'latin1'\ntRtR.", "in 4 bytes"),
        (b"cnumpy\nndarray\n((I-1\nI-1\ntS'<f4'\nc_codecs\nencode\n(S'abcd'\nS'latin1'\ntRtR.", "whole numbers"),
        (b"cnumpy\nndarray\n}S'x'\nI1\nsb.", "not a readable pickle|refused"),
        (b"cnumpy\nndarray\n(N}S'_make'\nI1\nstb.", "'_make' it tries to set"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(tR(N}S'values'\nI1\nstb.", "state of unknown form"),
        (b"cbuiltins\nbytearray\n(I1000000000000\ntR.", "bytes made of something else"),
        (b"c_codecs\nencode\n(S'x'\nS'idna'\ntR.", "encoding other than latin1"),
        (b"cnumpy\ndtype\n" + b"(" * 60_000 + b"t" * 60_000 + b"tR.", "refused|not a readable"),
        (b"", "not a readable pickle"),
        (b"\x80\x04.", "not a readable pickle|refused"),
        (b"not a pickle at all", "not a readable pickle|refused"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "not a readable pickle|refused"),
        (b"\x80\x02\x82\x01.", "not a readable pickle|refused"),
        (b"Pmine\n.", "refused: .*persistent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_load_pickle__hostile_and_damaged(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(RawInputError, match=message):
        load(tmp_path, data)


def test_load_pickle__mutations_load_or_are_refused(tmp_path: Path) -> None:
    content = pyskl_content()
    content["annotations"] = content["annotations"][:2]
    whole = pickle.dumps(content, protocol=2)
    chance = random.Random(5)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data) if chance.random() < 0.3 else 300)] = chance.randrange(256)
        try:
            load(tmp_path, bytes(data[: chance.randint(200, len(data))] if chance.random() < 0.3 else data))
        except RawInputError:
            refused += 1
    assert refused > 100


def test_load_pickle__numbers_that_ask_for_room_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="refused: it gives an object the number 134217728 after 2 instructions"):
        load(tmp_path, b"\x80\x02]r" + (2**27).to_bytes(4, "little") + b".")
