"""What control groups leave: the least of what the own group and those above it grant, of either version."""

import os
from pathlib import Path

import pytest

from mamp_schemas.system import MemoryLimit, count_cores, cpu_quota, memory_limits


def write(folder: Path, **files: object) -> None:
    """Write the files of a group; `__` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A process in a job's group of version 2, without version 1."""
    file = tmp_path / "own"
    file.write_text("0::/slurm/job_7/step_0\n")
    return file


@pytest.mark.parametrize(("limit", "cores"), [("50000 100000", 1), ("100001 100000", 2), ("max 100000", None)])
def test_count_cores__the_share_rounded_up(tmp_path: Path, own: Path, limit: str, cores: int | None) -> None:
    free = count_cores(tmp_path, own)
    assert 1 <= free <= (os.cpu_count() or 1)
    write(tmp_path, cpu__max=limit)
    assert count_cores(tmp_path, own) == min(free, cores or free)


def test_cpu_share__the_least_of_all_groups_above(tmp_path: Path, own: Path) -> None:
    assert cpu_quota(tmp_path, own) is None
    write(tmp_path / "slurm", cpu__max="800000 100000")
    write(tmp_path / "slurm" / "job_7", cpu__max="150000 100000")
    write(tmp_path / "slurm" / "job_7" / "step_0", cpu__max="max 100000")
    write(tmp_path / "slurm" / "job_8", cpu__max="10000 100000")
    assert cpu_quota(tmp_path, own) == 1.5


def test_cpu_share__of_version_1(tmp_path: Path, own: Path) -> None:
    own.write_text("4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n0::/\n")
    write(tmp_path / "cpu", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    assert cpu_quota(tmp_path, own) is None
    write(tmp_path / "cpu", cpu__cfs_quota_us=50_000, cpu__cfs_period_us=100_000)
    assert cpu_quota(tmp_path, own) == 0.5


def test_memory_limits__of_the_job_and_above(tmp_path: Path, own: Path) -> None:
    write(tmp_path / "slurm", memory__max="max")
    write(
        tmp_path / "slurm" / "job_7", memory__max=1_000, memory__current=300, memory__stat="anon 1\ninactive_file 200"
    )
    assert memory_limits(tmp_path, own) == [MemoryLimit(1_000, 100)]


def test_memory_limits__of_version_1(tmp_path: Path, own: Path) -> None:
    own.write_text("4:memory:/docker/a\n1:cpu:/docker/a\n")
    stat = "inactive_file 1\ntotal_inactive_file 50"
    write(tmp_path / "memory", memory__limit_in_bytes=900, memory__usage_in_bytes=150, memory__stat=stat)
    assert memory_limits(tmp_path, own) == [MemoryLimit(900, 100)]
