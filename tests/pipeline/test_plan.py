"""The plan of an ingest at full size."""

from pathlib import Path

import pytest

from mamp_pipeline.build.plan import plan_parts
from mamp_pipeline.raw.entries import RawSource

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
