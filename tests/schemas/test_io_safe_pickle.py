"""Hostile and damaged pickles are refused with a reason, and nothing in them runs."""

import collections
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamp_schemas.errors import RawInputError
from mamp_schemas.io.safe_pickle import PickledArray, load_pickle
from tests.limited import GIBIBYTE, run_limited
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
        (b"cnumpy\nndarray\n(N}S'_make'\nI1\nstb.", "sets the state of a NamedConstructor"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(tR(N}S'values'\nI1\nstb.", "state of unknown form"),
        (b"cbuiltins\nbytearray\n(I1000000000000\ntR.", "bytes made of something else"),
        (b"c_codecs\nencode\n(S'x'\nS'idna'\ntR.", "encoding other than latin1"),
        (b"cnumpy\ndtype\n" + b"(" * 60_000 + b"t" * 60_000 + b"tR.", "refused|not a readable"),
        (b"", "not a readable pickle"),
        (b"\x80\x04.", "not a readable pickle|refused"),
        (b"not a pickle at all", "not a readable pickle|refused"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "not a readable pickle|refused"),
        (b"\x80\x02\x82\x01.", "not a readable pickle|refused"),
        (b"\x80\x02}(X\x01\0\0\0aNX\x01\0\0\0aNu.", "a dictionary that has the key 'a' twice"),
        (b"\x80\x02}N\x85Ns.", "a dictionary whose key is a tuple"),
        (b"I" + b"9" * 6000 + b"\n.", "not a readable pickle"),
        (b"\x80\x02\x8b\xe8\x03\0\0" + b"\x7f" * 1000 + b".", "a whole number of 7,999 bits, more than 128"),
        (b"\x80\x02N2\x86.", "refused: it uses the instruction DUP"),
        (b"ios\nsystem\n.", r"it asks for os\.system"),
        (b"cnumpy\nndarray\n((I0\ntS'U0'\nc_codecs\nencode\n(S''\nS'latin1'\ntRtR.", "dtype U0"),
        (b"Pmine\n.", "refused: it uses the instruction PERSID"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_load_pickle__hostile_and_damaged(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(RawInputError, match=message):
        load(tmp_path, data)


def test_load_pickle__a_set_is_the_list_of_its_items(tmp_path: Path) -> None:
    for protocol in range(6):
        found = load(tmp_path, pickle.dumps([{"a", "b"}, frozenset({1})], protocol))
        assert sorted(found[0]) == ["a", "b"]
        assert list(found[1]) == [1]


def repeated(item: bytes, times: int) -> bytes:
    return b"\x80\x04" + b"(" + item * times + b"l."


HOSTILE = {
    "nested tuples that share their parts": b"\x80\x02}N" + b"q\0h\0\x86" * 400 + b"Ns.",
    "the same by DUP": b"\x80\x02}N" + b"2\x86" * 40 + b"Ns.",
    "the same in a set": b"\x80\x04\x8f(N" + b"\x94h\0\x86" + b"\x94h\1\x86" * 60 + b"\x90.",
    "nested frozensets as a key": b"\x80\x04}(" + b"(" * 3000 + b"N" + b"\x91" * 3000 + b"Nu.",
    "a frozenset of tuples that share their parts": b"\x80\x04(N" + b"\x94h\0\x86" * 60 + b"\x91.",
    "deep tuples as a key": b"\x80\x02}N" + b"\x85" * 500_000 + b"Ns.",
    "deep tuples": b"\x80\x02N" + b"\x85" * 500_000 + b".",
    "deep lists": b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".",
    "deep marks": b"(" * 1_000_000 + b".",
    "a list that holds itself as a key": b"\x80\x04}]\x94h\0ah\0Ns.",
    "empty sets": repeated(b"\x8f", 1_200_000),
    "empty dictionaries": repeated(b"}", 1_200_000),
    "a string encoded again and again": (
        b"\x80\x04c_codecs\nencode\n\x94X\x40\x42\x0f\0" + b"x" * 1_000_000 + b"\x94X\6\0\0\0latin1\x94("
        + b"h\0h\1h\2\x86R" * 20_000 + b"l."
    ),
    "a list made into sets again and again": (
        b"\x80\x04cbuiltins\nfrozenset\n\x94(" + b"N" * 200_000 + b"l\x94(" + b"h\0h\1\x85R" * 20_000 + b"l."
    ),
    "a number of 100 million bits": b"\x80\x02\x8b" + (12_500_000).to_bytes(4, "little") + b"\x7f" * 12_500_000 + b".",
    "a number of 6,000 digits": b"L" + b"9" * 6000 + b"L\n.",
    "numbers that collide as keys": (
        b"\x80\x02}(" + b"".join(b"\x8a\x08" + (k << 40).to_bytes(8, "little") + b"N" for k in range(100_000)) + b"u."
    ),
    "bytes that are not there": b"\x80\x04\x8e" + (1 << 45).to_bytes(8, "little") + b".",
    "a shape of many sizes": b"cnumpy\nndarray\n((" + b"I2\n" * 300_000 + b"tS'<f4'\nC\0tR.",
    "a name of a megabyte": b"c" + b"m" * 1_000_000 + b"\nf\n.",
    "dictionaries": b"\x80\x02(" + b"}" * 8_000_000 + b"t.",
    "memo numbers": b"\x80\x02]r" + (2**27).to_bytes(4, "little") + b".",
}  # fmt: skip

READ_ALL = """
import sys, time
from pathlib import Path
from mamp_schemas.io import safe_pickle
from mamp_schemas.errors import RawInputError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        safe_pickle.load_pickle(path)
        print(f"{path.name}|read", flush=True)
    except RawInputError as error:
        print(f"{path.name}|{error.message.partition(': ')[2]}", flush=True)
"""


def test_load_pickle__time_and_memory_are_bounded(tmp_path: Path) -> None:
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    outcome = run_limited(READ_ALL, tmp_path, seconds=60, memory=2 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-2000:] + outcome.stdout[-500:]
    answers = dict(line.split("|") for line in outcome.stdout.splitlines())
    assert answers.keys() == HOSTILE.keys()
    assert answers["dictionaries"] == "refused: it has more than 2,000,000 instructions"
    assert all(len(answer) < 400 for answer in answers.values())
    assert {name for name, answer in answers.items() if answer == "read"} <= {
        "deep tuples", "deep lists", "the same in a set", "a frozenset of tuples that share their parts",
        "a list made into sets again and again",
    }  # fmt: skip


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


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n(K\x01\x85X\x02\0\0\0U1C\x04\xff\xff\xff\xfftR.",
        b"cnumpy.core.multiarray\nscalar\n(X\x03\0\0\0>U1C\x04\0\x11\0\0tR.",
    ],
)
def test_load_pickle__text_of_no_characters(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RawInputError, match="numbers that are no characters"):
        load(tmp_path, b"\x80\x04" + data)


def test_load_pickle__the_byte_order_of_a_dtype_without_a_state(tmp_path: Path) -> None:
    array = load(tmp_path, b"\x80\x04cnumpy\nndarray\n(K\x01\x85X\x03\0\0\0>f4C\x04\x3f\x80\0\0tR.")
    assert array.values.tolist() == [1.0]
