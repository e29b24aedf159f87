"""Rows beyond a limit lie in a temporary file: the same batches, and a process that stays small."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mamp_trainer.data.host_memory import allocate_rows, file_system, keep_in_memory
from tests.trainer.runs import open_source, pretrain_recipe, write_toy_store
from tests.trainer.stores import Clip, write_manifest, write_store

ROOT = Path(__file__).parents[2]


def on_disk() -> bool:
    """Whether a folder for temporary files is on a disk with room."""
    return allocate_rows((1, 1, 1, 1), limit=0).release is not keep_in_memory


needs_disk = pytest.mark.skipif(not on_disk(), reason="temporary files are in memory here, or their disk is full")


@needs_disk
def test_allocate_rows__in_a_file_keep_their_values_when_memory_is_given_back() -> None:
    rows, release = allocate_rows((2, 1000, 3, 25), limit=1000)
    rows.copy_(torch.arange(rows.numel()).view_as(rows))
    release()
    assert torch.equal(rows.flatten(), torch.arange(rows.numel(), dtype=torch.float32))
    assert not [*Path(tempfile.gettempdir()).glob("mampctl-rows-*")]


def test_allocate_rows__within_the_limit_are_in_memory() -> None:
    assert allocate_rows((1, 10, 3, 25), limit=3000).release is keep_in_memory


def test_allocate_rows__where_temporary_files_are_in_memory_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamp_trainer.data.host_memory.file_system", lambda _folder: "tmpfs")
    assert allocate_rows((1, 10, 3, 25), limit=0).release is keep_in_memory


def test_file_system__is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\ntmpfs {tmp_path}/in\\040memory tmpfs rw 0 0\n")
    (tmp_path / "in memory" / "deeper").mkdir(parents=True)
    assert file_system(tmp_path / "in memory" / "deeper", mounts) == "tmpfs"
    assert file_system(tmp_path, mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize("fields", [{}, {"residency": "stream", "shuffle_window": 2}, {"motion_source": "stored"}])
def test_load__batches_from_a_file_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    store, recipe = write_toy_store(tmp_path), pretrain_recipe(**fields)
    batches = []
    for limit in (10**9, 0):
        monkeypatch.setattr("mamp_trainer.data.dataset.HOST_BYTES", limit)
        source = open_source(store, recipe)
        train = source.train_batches(source.load("train"))
        batches.append([train.batch(epoch, step) for epoch in (0, 1) for step in range(train.steps)])
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.clip, other.clip)
        assert (one.trajectory is None) == (other.trajectory is None)
        assert one.trajectory is None or other.trajectory is None or torch.equal(one.trajectory, other.trajectory)


PEAK = """
import resource, sys
from pathlib import Path
import torch
from mamp_trainer.data import dataset
from tests.trainer.runs import open_source, pretrain_recipe
dataset.HOST_BYTES = 1_000_000
torch.set_num_threads(1)
store, residency = Path(sys.argv[1]), sys.argv[2]
window = {"shuffle_window": 4} if residency == "stream" else {}
source = open_source(store, pretrain_recipe(batch_size=64, residency=residency, **window))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = source.train_batches(source.load("train"))
for step in range(batches.steps):
    batches.batch(0, step)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores, the second with four times as many clips."""
    body = np.random.default_rng(0).normal(size=(1, 80, 25, 3)).astype(np.float32)
    made = []
    for clips in CLIPS:
        ids = [f"clip{number:05d}" for number in range(clips)]
        path = tmp_path_factory.mktemp("data") / "toy.zarr"
        made.append(write_store(path, [Clip(name, body) for name in ids], shard_rows=4096))
        write_manifest(path, ids[:-1], ids[-1:])
    return made


CLIPS = (300, 1200)


@needs_disk
@pytest.mark.parametrize("residency", ["host", pytest.param("stream", marks=pytest.mark.soak)])
def test_load__memory_does_not_grow_with_the_clips(stores: list[Path], residency: str) -> None:
    small, large = (_peak_growth(store, residency) for store in stores)
    assert large - small < CLIPS[1] * 80 * 300 / 4


def _peak_growth(store: Path, residency: str) -> int:
    """Return by how many bytes a process grows that makes batches of all clips of a store."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(store), residency],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return 1024 * int(done.stdout)
