"""Every reader of raw files on mutated ones, in a process with limits on time and memory."""

import pytest

from tests.limited import GIBIBYTE, run_limited

READ = "import sys; from tests.pipeline.reader_fuzz import run; [run(name, 0, 300) for name in sys.argv[1:]]"
HOSTILE = """
import sys
from tests.pipeline.reader_fuzz import CASES
from tests.pipeline.test_datasets_fuzz import PIECES
from mamp_schemas.errors import RawFileError
for name in sys.argv[1:]:
    for piece in PIECES:
        print(name, len(piece), piece[:40], file=sys.stderr)  # the last one is the one at fault
        try:
            CASES[name].read(piece)
        except RawFileError as problem:
            assert len(str(problem)) < 2000, str(problem)[:2000]
"""
FAMILIES = [("csv_wide", "csv_long", "csv_lines"), ("json", "npy", "nwucla"), ("ntu", "pku")]
PIECES = (
    b"," * 300_000,
    b"a," * 100_000,
    b"x" * 500_000,
    b'"' * 100_000,
    b"\n" * 300_000,
    b"9" * 100_000,
    b"1 " * 200_000,
    b"1\n" * 100_000,
    b"[" * 300_000,
    b'{"a":' * 50_000,
    b"\xff\xfe" + b"\0" * 300_000,
    b"0," + b" " * 100_000 + b"z",
    b"1-1-1 " * 20_000,
    b"[" + b"[]," * 100_000 + b"[]]",
    b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535,
    b"\x93NUMPY\x01\x00\x76\x00" + b"{" * 118,
)


@pytest.mark.parametrize("names", FAMILIES)
def test_readers__mutated_files_are_refused_or_read_as_they_are(names: tuple[str, ...]) -> None:
    outcome = run_limited(READ, *names, seconds=120, memory=3 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    counts = [tuple(map(int, line.split())) for line in outcome.stdout.splitlines()]
    assert len(counts) == len(names)
    assert all(min(count) > 5 for count in counts), counts


@pytest.mark.parametrize("names", FAMILIES)
def test_readers__hostile_files_take_bounded_time_and_memory(names: tuple[str, ...]) -> None:
    outcome = run_limited(HOSTILE, *names, seconds=60, memory=3 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
