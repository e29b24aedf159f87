"""`mampctl ingest`, text to finished store in 2 processes: against line-by-line reading; memory and time at scale.

Each ingest runs three times between measurements of the baseline, and the best of both are held against each other.
MAMPCTL_BENCH_CLIPS sets how many files the speed is measured on, 5,000 (1.2 GB) by default.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from mamp_pipeline.synth.ntu import plan_clips, synthesise
from tests.benchmarks.baseline import measure_rate
from tests.benchmarks.watched import Run, run_ingest

pytestmark = pytest.mark.benchmark

CLIPS = int(os.environ.get("MAMPCTL_BENCH_CLIPS", "5000"))
SAMPLE = 60
RUNS = 3
ROW_BYTES = 700


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("raw")
    synthesise("ntu120", folder / "text", clips=CLIPS, classes=60, setups=8, subjects=20, seed=7)
    yield folder / "text"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def archive(raw: Path) -> Path:
    """The same files deflated as the official archives are, at zlib's default level."""
    path = raw.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(raw.iterdir()):
            target.write(file, file.name)
    return path


def tell(title: str, **values: object) -> None:
    print(f"\n{title}: " + ", ".join(f"{name} {value}" for name, value in values.items()))


def best_ratio(source: Path, text: Path, out: Path) -> float:
    """Let ingest and the baseline take turns; return the best rate of ingest over the best of the baseline."""
    files = sorted(text.iterdir())
    sample, size = files[:: max(1, len(files) // SAMPLE)], sum(file.stat().st_size for file in files) / 1e6
    rates, runs = [measure_rate(sample)], []
    for _ in range(RUNS):
        shutil.rmtree(out, ignore_errors=True)
        runs.append(run_ingest(source, out))
        rates.append(measure_rate(sample))
    run, baseline = min(runs, key=attrgetter("seconds")), max(rates)
    rate = size / run.seconds
    tell(
        f"ingest of {source.name}",
        text=f"{size:,.0f} MB",
        baseline=f"{baseline:.1f} MB/s",
        ingest=f"{rate:.0f} MB/s",
        ratio=f"{rate / baseline:.1f}",
        startup=f"{run.startup:.1f} s",
        seconds=" ".join(f"{run.seconds:.2f}" for run in runs),
        peaks=" ".join(f"{peak:.0f}" for peak in run.peaks) + " MB",
    )
    return rate / baseline


def test_ingest__from_a_folder_at_least_20_times_the_baseline(raw: Path, tmp_path: Path) -> None:
    assert best_ratio(raw, raw, tmp_path / "s.zarr") >= 20
    check_size(tmp_path / "s.zarr")
    shutil.rmtree(tmp_path)


def test_ingest__from_an_archive_at_least_12_times_the_baseline(raw: Path, archive: Path, tmp_path: Path) -> None:
    assert best_ratio(archive, raw, tmp_path / "s.zarr") >= 12
    shutil.rmtree(tmp_path)


def check_size(store: Path) -> None:
    """A store takes at most 3 % over the bytes of its rows."""
    from mamp_schemas.io.store_reader import open_store

    counts = open_store(store).metadata.counts
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    padded = counts.clips * 300 * 2 * ROW_BYTES
    tell(
        "store",
        size=f"{size / 1e6:.1f} MB",
        rows=f"{counts.rows:,}",
        over=f"{size / counts.rows / ROW_BYTES - 1:.2%}",
        of_padded=f"{size / padded:.2f}",
    )
    assert size <= 1.03 * counts.rows * ROW_BYTES


def link_files(raw: Path, folder: Path, clips: int) -> Path:
    """Give a thousand files to many names: as much work as so many files, on a disk that need not hold them."""
    contents = sorted(raw.iterdir())[:1_000]
    folder.mkdir()
    for place, info in enumerate(plan_clips("ntu120", clips=clips, classes=60, setups=16, subjects=60)):
        (folder / f"{info.id}.skeleton").hardlink_to(contents[place % len(contents)])
    return folder


def test_ingest__memory_stays_and_time_is_linear_from_1000_to_20000_files(raw: Path, tmp_path: Path) -> None:
    runs: dict[int, Run] = {}
    for clips in (1_000, 20_000):
        folder = link_files(raw, tmp_path / f"raw{clips}", clips)
        runs[clips] = run_ingest(folder, tmp_path / "s.zarr")
        tell(
            f"{clips:,} files",
            startup=f"{runs[clips].startup:.1f} s",
            per_thousand=f"{runs[clips].seconds / clips * 1_000:.2f} s",
            peaks=" ".join(f"{peak:.0f}" for peak in runs[clips].peaks) + " MB",
        )
        shutil.rmtree(tmp_path / "s.zarr")
        shutil.rmtree(folder)
    few, many = runs[1_000], runs[20_000]
    assert max(few.peaks + many.peaks) <= 700
    assert max(many.peaks) <= max(few.peaks) + 100
    assert many.seconds / 20 <= 1.25 * few.seconds


def test_ingest__compression_gain_and_cost(raw: Path, tmp_path: Path) -> None:
    """Synthetic movement is smoother than measured: docs/scaling.md has the numbers of real files."""
    folder, sizes = link_files(raw, tmp_path / "raw", 1_000), {}
    for compression in ("none", "zstd"):
        out = tmp_path / f"{compression}.zarr"
        run = run_ingest(folder, out, "--compression", compression)
        sizes[compression] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        tell(f"compression {compression}", size=f"{sizes[compression] / 1e6:.1f} MB", seconds=f"{run.seconds:.1f}")
    assert sizes["zstd"] < sizes["none"]
