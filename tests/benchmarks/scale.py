"""What an ingest takes as the input grows: `python -m tests.benchmarks.scale [CLIPS...]`, a Markdown table.

A thousand synthetic files stand behind all names, as links: as much work as so many files, on a disk that need not
hold them. Each store is then split and opened as the trainer opens it.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from mamp_pipeline.ingest.plan import PART_BYTES
from mamp_pipeline.store.shards import SHARD_ROWS
from mamp_pipeline.synth.ntu import plan_clips, synthesise
from mamp_schemas.io.store_reader import open_store
from tests.benchmarks.watched import Run, run_ingest

COUNTS = (1_000, 10_000, 100_000)
CONTENTS = 1_000
OPENING = """
import resource, sys
from pathlib import Path
from mamp_trainer.data.clips import make_table
from mamp_schemas.io.store_reader import open_store
from mamp_trainer.data.dataset import read_manifest, side_clips
import time
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
store = open_store(Path(sys.argv[1]))
make_table(store, side_clips(store, read_manifest(store, "xset"), "train"))
print(time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)
"""


@dataclass(frozen=True)
class Measured:
    """What one size took; sizes in megabytes, times in seconds."""

    clips: int
    text: float
    run: Run
    rows: int
    objects: int
    store: float
    split: float
    opening: float
    opening_memory: float


def measure(contents: Path, folder: Path, clips: int) -> Measured:
    raw, out = folder / f"raw{clips}", folder / f"{clips}.zarr"
    text = link_files(contents, raw, clips)
    run = run_ingest(raw, out)
    files = [file.stat().st_size for file in out.rglob("*") if file.is_file()]
    started = time.perf_counter()
    command = [sys.executable, "-m", "mampctl", "build-splits", "--protocol", "xset", "--store", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    split = time.perf_counter() - started
    opened = subprocess.run([sys.executable, "-c", OPENING, str(out)], check=True, capture_output=True, text=True)
    opening, memory = map(float, opened.stdout.split())
    rows = open_store(out).metadata.counts.rows
    return Measured(clips, text / 1e6, run, rows, len(files), sum(files) / 1e6, split, opening, memory)


def link_files(contents: Path, folder: Path, clips: int) -> int:
    """Give the contents to many names; return the bytes of all."""
    files = sorted(contents.iterdir())
    sizes = [file.stat().st_size for file in files]
    folder.mkdir()
    for place, info in enumerate(plan_clips("ntu120", clips=clips, classes=120, setups=32, subjects=106)):
        (folder / f"{info.id}.skeleton").hardlink_to(files[place % len(files)])
    return sum(sizes[place % len(files)] for place in range(clips))


def tell(found: Measured) -> str:
    command, *workers = found.run.peaks
    cells = (
        f"{found.clips:,}",
        f"{found.text:,.0f}",
        f"{found.run.startup:.1f}",
        f"{found.run.seconds:.1f}",
        f"{1_000 * found.run.seconds / found.clips:.2f}",
        f"{command:.0f}, {max(workers, default=0):.0f}",
        f"{found.rows:,}",
        f"{found.objects:,}",
        f"{found.store:,.0f}",
        f"{found.split:.1f}",
        f"{found.opening:.2f}, {found.opening_memory:.0f}",
    )
    return f"| {' | '.join(cells)} |"


HEADER = (
    "clips | text, MB | start, s | work, s | s a thousand | peak of command, worker, MB | rows | objects | store, MB "
    "| split, s | opening to train, s, MB"
)


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    print(f"{psutil.cpu_count()} cores; parts of {PART_BYTES / 1e6:.0f} MB of text, shards of {SHARD_ROWS:,} rows")
    print(f"| {HEADER} |\n|{'---|' * (HEADER.count('|') + 1)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesise("ntu120", folder / "text", clips=CONTENTS, classes=60, setups=8, subjects=20, seed=7)
        for clips in counts:
            print(tell(measure(folder / "text", folder, clips)), flush=True)


if __name__ == "__main__":
    main()
