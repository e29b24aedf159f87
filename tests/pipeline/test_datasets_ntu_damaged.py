"""Damaged NTU files: every one is read or refused with a reason, the same by either parser, in bounded memory."""

import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import pytest

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.ntu import parse as ntu
from mamp_pipeline.datasets.ntu.fast import parse_ntu_compiled
from mamp_pipeline.datasets.ntu.parse import parse_ntu_lines
from mamp_schemas.errors import RawFileError
from tests.factories import ntu_body, ntu_text, random_ntu_text

CASES = 800
TRACED_CASES = 100
Generator = np.random.Generator
Option = TypeVar("Option")
Mutation = Callable[[bytes, Generator], bytes]

SPLICES = (
    b"\x00", b"\r", b"\t ", b"\n", b"\n\n", b" ", b"-", b".", b"e", b"nan", b"inf", b"1e400", b"-1e-400", b"9" * 40,
    b"1000000000", b"-1", b"1.", b".5", b"+3", b"0x1p3", b"1_0", b"7E-5", b"\xef\xbb\xbf", b"\x0b", b"\x1c", b"\x85",
)  # fmt: skip
COUNTS = (b"1000000000", b"-1", b"0", b"2", b"24", b"9" * 18, b"9" * 19, b"9" * 400)


def pick(options: Sequence[Option], rng: Generator) -> Option:
    return options[rng.integers(len(options))]


def place(text: bytes, rng: Generator) -> int:
    return int(rng.integers(len(text) + 1))


def truncate(text: bytes, rng: Generator) -> bytes:
    return text[: place(text, rng)]


def flip(text: bytes, rng: Generator) -> bytes:
    symbols = bytearray(text)
    for at in rng.integers(len(text), size=rng.integers(1, 4)):
        symbols[at] ^= 1 << rng.integers(8)
    return bytes(symbols)


def splice(text: bytes, rng: Generator) -> bytes:
    at = place(text, rng)
    return text[:at] + pick(SPLICES, rng) + text[at + rng.integers(3) :]


def blank_out(text: bytes, rng: Generator) -> bytes:
    at, count = place(text, rng), int(rng.integers(1, 200))
    return text[:at] + b"\x00" * count + text[at + count :]


def pad(text: bytes, rng: Generator) -> bytes:
    blanks = [pick((b"\n", b"\r\n", b" ", b"\t", b"\x0c"), rng) for _ in range(rng.integers(1, 4))]
    return b"".join(blanks) + text if rng.integers(2) else text + b"".join(blanks)


def of_lines(change: Callable[[list[bytes], Generator], None], text: bytes, rng: Generator) -> bytes:
    lines = text.split(b"\n")
    change(lines, rng)
    return b"\n".join(lines)


def duplicate(lines: list[bytes], rng: Generator) -> None:
    at = rng.integers(len(lines))
    lines.insert(rng.integers(len(lines)) if rng.random() < 0.5 else at, lines[at])


def delete(lines: list[bytes], rng: Generator) -> None:
    del lines[rng.integers(len(lines))]


def swap(lines: list[bytes], rng: Generator) -> None:
    first, second = rng.integers(len(lines), size=2)
    lines[first], lines[second] = lines[second], lines[first]


def blow_up_count(lines: list[bytes], rng: Generator) -> None:
    counts = [at for at, line in enumerate(lines) if line.isdigit()] or [0]
    lines[pick(counts, rng)] = pick(COUNTS, rng)


def respell_field(lines: list[bytes], rng: Generator) -> None:
    at = rng.integers(len(lines))
    fields = lines[at].split(b" ")
    fields[rng.integers(min(len(fields), 4))] = pick(SPLICES, rng)
    lines[at] = b" ".join(fields)


MUTATIONS: tuple[Mutation, ...] = (
    truncate,
    flip,
    splice,
    blank_out,
    pad,
    *(partial(of_lines, change) for change in (duplicate, delete, swap, blow_up_count, respell_field, respell_field)),
)


@pytest.fixture(scope="module")
def texts() -> list[bytes]:
    """A few whole files; line ends of both kinds, empty frames, several bodies."""
    plain = [random_ntu_text(seed=1, frames=3), random_ntu_text(seed=2, frames=2, bodies=2)]
    return [*plain, plain[0].replace(b"\n", b"\r\n"), ntu_text([[], [], [ntu_body()], []])]


def damaged(texts: list[bytes], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    text = pick(texts, rng)
    for _ in range(rng.integers(1, 4)):
        text = pick(MUTATIONS, rng)(text or b"1", rng)
    return text


def outcome(read: Callable[[bytes], RawBodies], data: bytes) -> tuple[object, ...]:
    try:
        bodies = read(data)
    except RawFileError as error:
        return error.reason or None, error.line
    return bodies.frames, bodies.frame.tolist(), bodies.body_id.tolist(), bodies.joints.tobytes()


def test_parse_ntu__damaged_files(texts: list[bytes]) -> None:
    refused = 0
    for seed in range(CASES):
        data = damaged(texts, seed)
        expected = outcome(parse_ntu_lines, data)
        refused += len(expected) == 2
        assert expected[0] is not None, seed
        assert outcome(ntu.parse_ntu, data) == expected, seed
        assert (parse_ntu_compiled(data) is None) == (len(expected) == 2), seed
    assert CASES * 0.5 < refused < CASES * 0.95


@pytest.mark.parametrize("parser", [parse_ntu_compiled, parse_ntu_lines], ids=["compiled", "lines"])
def test_parse_ntu__memory_of_damaged_files(
    texts: list[bytes], parser: Callable[[bytes], RawBodies | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ntu, "choose_parser", lambda: parser)
    bombs = [
        b"1000000000\n" * 2000,
        b"0\n" * 20000,
        b"\n" * 40000,
        b"2000\n" + b"0\n" * 2000,
        b"1 " * 20000,
        b"\r" * 40000,
    ]
    for data in [*bombs, *(damaged(texts, seed) for seed in range(TRACED_CASES))]:
        tracemalloc.start()
        outcome(ntu.parse_ntu, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 80 * len(data) + 200_000


@pytest.mark.parametrize("parser", [parse_ntu_compiled, parse_ntu_lines], ids=["compiled", "lines"])
@pytest.mark.parametrize("line", [b"0\n", b"1\n", b"22\n", b"1000000000\n", b"1 ", b"\n", b"\r"])
def test_parse_ntu__memory_of_large_damaged_files(
    parser: Callable[[bytes], RawBodies | None], line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"3\n" + line * (2_000_000 // len(line))
    ntu.warm_up_parser()  # what a first call loads is not the file's
    monkeypatch.setattr(ntu, "choose_parser", lambda: parser)
    tracemalloc.start()
    assert outcome(ntu.parse_ntu, data)[1] is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(data)
