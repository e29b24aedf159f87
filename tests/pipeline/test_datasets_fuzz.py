"""Every reader of raw files on mutated ones, in a process with limits on time and memory."""

from pathlib import Path

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
LISTS = r"""
import io, random, sys, zipfile
from pathlib import Path
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.discover import find_sources, read_exclude_list
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.pku.discover import parse_split_list
from mamp_schemas.errors import MampctlError, RawFileError
from tests.mutations import HOSTILE, mutate

folder, draw, reader = Path(sys.argv[1]), random.Random(0), find_reader("ntu60")

def archive(content):
    (folder / "a.zip").write_bytes(content)
    for source in find_sources([folder / "a.zip"], reader).sources:
        try:
            assert read_source(source) in members.values()
        except RawFileError:
            pass

def exclude(content):
    (folder / "list.txt").write_bytes(content)
    read_exclude_list(folder / "list.txt", reader)

names = [f"S001C001P{number:03}R001A001.skeleton" for number in range(1, 9)]
members = {name: (name * 20).encode() for name in names}
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
    for name, content in members.items():
        file.writestr(name, content)
splits = b"Training videos:\n0002-L, 0003-M, 0004-R\nValidation videos:\n0005-L, 0006-M, 0007-R\n"
for name, good, read in (
    ("archive", packed.getvalue(), archive),
    ("exclude", "\n".join(names).encode(), exclude),
    ("splits", splits, lambda content: parse_split_list(content.decode("utf-8", "replace"), "pku1", "splits.txt")),
):
    read(good)
    refused = 0
    for content in (*HOSTILE, *(mutate(good, draw) for _ in range(200))):
        print(name, content[:200], file=sys.stderr)  # the last one is the one at fault
        try:
            read(content)
        except MampctlError as problem:
            assert len(str(problem)) < 3000, str(problem)[:3000]
            refused += 1
    print(refused)
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


def test_readers__damaged_archives_and_lists_are_refused_or_read_as_they_are(tmp_path: Path) -> None:
    outcome = run_limited(LISTS, tmp_path, seconds=60, memory=3 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert all(int(line) > 5 for line in outcome.stdout.splitlines()), outcome.stdout
