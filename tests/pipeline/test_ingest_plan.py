"""The plan of an ingest at full size."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import PART_BYTES, divide_sizes, plan_parts

NTU120_FILES, NTU120_BYTES = 114_480, 26 * 10**9
MIB = 2**20


@pytest.mark.parametrize(("files", "text"), [(NTU120_FILES, NTU120_BYTES), (5_000, 12 * 10**8)])
def test_plan_parts__of_32_to_64_megabytes_at_full_size(files: int, text: int) -> None:
    mean = text // files
    sources = [
        RawSource(f"{number:06d}", Path("raw.zip"), f"{number}.skeleton", mean // 2 + number * 7_919 % mean, None)
        for number in range(files)
    ]
    parts = list(plan_parts(sources))
    assert [source for part in parts for source in part.sources] == sources
    assert [part.number for part in parts] == list(range(len(parts)))
    sizes = [sum(source.size for source in part.sources) for part in parts]
    assert all(32 * MIB <= size <= 64 * MIB for size in sizes[:-1])
    assert sizes[-1] <= 64 * MIB
    assert max(len(part.sources) for part in parts) > 100


@given(
    st.lists(
        st.lists(st.one_of(st.integers(0, 2 * PART_BYTES), st.integers(0, PART_BYTES // 10), st.just(0)), max_size=30),
        max_size=5,
    )
)
def test_divide_sizes__as_many_files_as_fit_and_at_least_one(blocks: list[list[int]]) -> None:
    expected, start, size = [], 0, 0
    sizes = [block_size for block in blocks for block_size in block]
    for position, block_size in enumerate(sizes):
        if position > start and size + block_size > PART_BYTES:
            expected.append(slice(start, position))
            start, size = position, 0
        size += block_size
    expected += [slice(start, len(sizes))] if sizes else []
    assert list(divide_sizes(np.array(block, dtype=np.int64) for block in blocks)) == expected


CLIPS, BLOCK = 10**7, 10**5


def sizes_of_ten_million_files() -> Iterator[NDArray[np.int64]]:
    """Yield sizes around NTU-120's mean, 227 kB, in blocks."""
    for number in range(CLIPS // BLOCK):
        index = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.int64)
        yield 113_000 + index * 7_919 % 228_000


def test_divide_sizes__holds_one_block_in_memory() -> None:
    tracemalloc.start()
    stop, parts = 0, 0
    for files in divide_sizes(sizes_of_ten_million_files()):
        assert files.start == stop
        stop, parts = files.stop, parts + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stop == CLIPS
    assert 45_000 < parts < 46_000
    assert peak < 10e6
