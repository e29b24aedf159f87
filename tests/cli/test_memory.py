"""Peak memory of commands that read a whole store: it does not grow with the number of clips."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.models.dataset import dataset_spec
from tests.pipeline.convert_cases import import_pyskl, write_pickle

CLIPS, FRAMES = 500, 300
"""Clips of one body in the smaller store: 45 MB of joints. The larger store has twice as many."""
GROWTH_MB = 25
"""Less than the 45 MB that the second half of the clips would take; two runs of a command differ by up to 10 MB."""
NETWORK = ("model.width=16", "model.heads=2", "model.depth=1", "model.segment=60", "batch_size=8")
ENCODER = ("--recipe", "ntu60-xsub", "--device", "cpu", *(word for change in NETWORK for word in ("--set", change)))
COMMANDS: dict[str, Sequence[str]] = {
    "export pyskl": ("export", "pyskl", "--store", "STORE", "--out", "OUT.pkl"),
    "knn": ("knn", "--store", "STORE", *ENCODER),
    "embed": ("embed", "--store", "STORE", *ENCODER, "--out", "OUT.h5"),
    "export npz": ("export", "npz", "--store", "STORE", "--protocol", "xsub", "--out", "OUT.npz"),
    "export h5": ("export", "h5", "--store", "STORE", "--protocol", "xsub", "--out", "OUT.h5"),
    "info": ("info", "STORE"),
    "verify": ("verify", "STORE"),
    "build-splits": ("build-splits", "--store", "STORE", "--protocol", "xview"),
    "report": ("report", "STORE", "--out", "OUT.html"),
}
IN_THE_SUITE = ("export pyskl", "knn")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two finished stores, the second with twice the clips of the first."""
    folder = tmp_path_factory.mktemp("stores")
    return make_store(folder / "small.zarr", CLIPS), make_store(folder / "large.zarr", 2 * CLIPS)


def make_store(path: Path, count: int) -> Path:
    joints = np.random.default_rng(0).normal(size=(1, FRAMES, 25, 3)).astype(np.float32)
    names = [f"S001C{1 + n % 3:03}P{1 + n // 3 % 40:03}R001A{1 + n // 120:03}" for n in range(count)]
    annotations = [
        {"frame_dir": name, "label": int(name[-3:]) - 1, "total_frames": FRAMES, "keypoint": joints.copy()}
        for name in sorted(names)
    ]
    protocol = dataset_spec("ntu60").protocol("xsub")
    sides = {name: protocol.split_of(int(name[9:12])) for name in names}
    split = {
        f"xsub_{key}": [name for name in names if sides[name] == side]
        for key, side in (("train", "train"), ("val", "test"))
    }
    import_pyskl(write_pickle(path.with_suffix(".pkl"), {"split": split, "annotations": annotations}))
    return path


def peak_mb(arguments: Sequence[str], folder: Path) -> float:
    """Return the largest resident memory of one run of mampctl."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mampctl", *arguments], stdout=log, stderr=log, cwd=folder, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (folder / "log").read_text()
    return usage.ru_maxrss / 1000


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=() if name in IN_THE_SUITE else pytest.mark.soak) for name in COMMANDS],
)
def test_command__memory_is_flat(command: str, stores: tuple[Path, Path], tmp_path: Path) -> None:
    peaks = []
    for store in stores:
        folder = tmp_path / store.stem
        folder.mkdir()
        words = {"STORE": str(store)}
        arguments = [words.get(word, word.replace("OUT", str(folder / "out"))) for word in COMMANDS[command]]
        peaks.append(peak_mb(arguments, folder))
    assert peaks[1] - peaks[0] < GROWTH_MB, f"{command}: {peaks[0]:.0f} MB, with twice the clips {peaks[1]:.0f} MB"
