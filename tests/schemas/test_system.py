"""Cores and memory within the limits of control groups of either version, and the name of the CPU."""

import os
from pathlib import Path

import pytest

from mamp_schemas.system import (
    MemoryLimit,
    choose_threads,
    count_cores,
    cpu_name,
    cpu_quota,
    free_host_memory,
    has_gpu,
    let_threads_sleep,
    memory_limits,
    total_memory,
)


def write(folder: Path, **files: object) -> None:
    """Write the files of a group; `__` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def cgroup_file(tmp_path: Path) -> Path:
    """A process in a job's group of version 2, without version 1."""
    file = tmp_path / "own"
    file.write_text("0::/slurm/job_7/step_0\n")
    return file


@pytest.mark.parametrize(("limit", "cores"), [("50000 100000", 1), ("100001 100000", 2), ("max 100000", None)])
def test_count_cores__the_share_rounded_up(tmp_path: Path, cgroup_file: Path, limit: str, cores: int | None) -> None:
    free = count_cores(tmp_path, cgroup_file)
    assert 1 <= free <= (os.cpu_count() or 1)
    write(tmp_path, cpu__max=limit)
    assert count_cores(tmp_path, cgroup_file) == min(free, cores or free)


def test_cpu_quota__the_least_of_all_groups_above(tmp_path: Path, cgroup_file: Path) -> None:
    assert cpu_quota(tmp_path, cgroup_file) is None
    write(tmp_path / "slurm", cpu__max="800000 100000")
    write(tmp_path / "slurm" / "job_7", cpu__max="150000 100000")
    write(tmp_path / "slurm" / "job_7" / "step_0", cpu__max="max 100000")
    write(tmp_path / "slurm" / "job_8", cpu__max="10000 100000")
    assert cpu_quota(tmp_path, cgroup_file) == 1.5


def test_cpu_quota__of_version_1(tmp_path: Path, cgroup_file: Path) -> None:
    cgroup_file.write_text("4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n0::/\n")
    write(tmp_path / "cpu", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    assert cpu_quota(tmp_path, cgroup_file) is None
    write(tmp_path / "cpu", cpu__cfs_quota_us=50_000, cpu__cfs_period_us=100_000)
    assert cpu_quota(tmp_path, cgroup_file) == 0.5


def test_memory_limits__of_the_job_and_above(tmp_path: Path, cgroup_file: Path) -> None:
    write(tmp_path / "slurm", memory__max="max")
    write(
        tmp_path / "slurm" / "job_7", memory__max=1_000, memory__current=300, memory__stat="anon 1\ninactive_file 200"
    )
    assert memory_limits(tmp_path, cgroup_file) == [MemoryLimit(1_000, 100)]


def test_memory_limits__of_version_1(tmp_path: Path, cgroup_file: Path) -> None:
    cgroup_file.write_text("4:memory:/docker/a\n1:cpu:/docker/a\n")
    stat = "inactive_file 1\ntotal_inactive_file 50"
    write(tmp_path / "memory", memory__limit_in_bytes=900, memory__usage_in_bytes=150, memory__stat=stat)
    assert memory_limits(tmp_path, cgroup_file) == [MemoryLimit(900, 100)]


def test_cpu_name__the_model_in_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: A Fast One: 3\nflags\t: fpu\nmodel name\t: Other\n"
    )
    assert cpu_name(tmp_path) == "A Fast One: 3"


def test_cpu_name__the_architecture_without_a_model(tmp_path: Path) -> None:
    assert cpu_name(tmp_path) == os.uname().machine


def test_total_memory__a_containers_limit(tmp_path: Path) -> None:
    installed = total_memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert total_memory(tmp_path) == installed
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("0\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    assert total_memory(tmp_path) == 1_000_000


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  4000 kB\nMemAvailable:  3000 kB\n")
    return path


def limit(folder: Path, maximum: str, used: int = 0, cache: int = 0) -> Path:
    (folder / "memory.max").write_text(f"{maximum}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")
    return folder


def test_free_host_memory__is_what_the_system_has_available(tmp_path: Path, meminfo: Path) -> None:
    assert free_host_memory(meminfo, tmp_path) == 3000 * 1024
    assert free_host_memory(meminfo, limit(tmp_path, "max")) == 3000 * 1024


def test_free_host_memory__a_containers_limit_counts_without_its_cache(tmp_path: Path, meminfo: Path) -> None:
    assert free_host_memory(meminfo, limit(tmp_path, "1000000", used=700_000, cache=200_000)) == 500_000
    assert free_host_memory(meminfo, limit(tmp_path, "1000000", used=1_300_000, cache=200_000)) == 0


def test_free_host_memory__without_meminfo_half_of_the_installed(tmp_path: Path) -> None:
    assert free_host_memory(tmp_path / "none", tmp_path) > 2**20


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ({"KMP_BLOCKTIME": "200"}, {"KMP_BLOCKTIME": "200"}),
    ],
)
def test_let_threads_sleep__unless_a_variable_says_how_they_wait(
    environment: dict[str, str], expected: dict[str, str]
) -> None:
    let_threads_sleep(environment)
    assert environment == expected


def stat(proc: Path, *times: str) -> Path:
    """Write the kernel's counters: user, nice, system, idle, waiting, irq, softirq and steal of each core."""
    proc.mkdir(exist_ok=True)
    (proc / "stat").write_text("".join(f"cpu{number} {line}\n" for number, line in enumerate(times)))
    return proc


@pytest.mark.parametrize(
    ("environment", "threads", "variable"),
    [
        ({"OMP_NUM_THREADS": "3"}, 3, "OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "4,2"}, 4, "OMP_NUM_THREADS"),
        ({"MKL_NUM_THREADS": "5"}, 5, "MKL_NUM_THREADS"),
        ({"MAMPCTL_THREADS": "2", "OMP_NUM_THREADS": "3"}, 2, "MAMPCTL_THREADS"),
        ({"MAMPCTL_LAUNCHER_THREADS": "7", "OMP_NUM_THREADS": "7"}, 7, None),
        ({"MAMPCTL_LAUNCHER_THREADS": "7", "MAMPCTL_THREADS": "2"}, 2, "MAMPCTL_THREADS"),
    ],
)
def test_choose_threads__as_a_variable_says(environment: dict[str, str], threads: int, variable: str | None) -> None:
    choice = choose_threads(environment)
    assert (choice.threads, choice.variable) == (threads, variable)


@pytest.mark.parametrize(("load", "expected"), [(0.0, 4), (1.2, 3), (3.9, 1), (40.0, 1)])
def test_choose_threads__by_the_load_average_where_counters_do_not_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {1000, 1001, 1002, 1003})
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    (stat(tmp_path, *["9 0 9 9 0 0 0 0"] * 4) / "loadavg").write_text(f"{load} 0.5 0.5 1/100 1234\n")
    assert choose_threads({"OMP_NUM_THREADS": "many"}, tmp_path).threads == expected


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ("0 0 0 100 0 0 0 0", 4),
        ("0 100 0 0 0 0 0 0", 4),
        ("0 0 0 0 100 0 0 0", 4),
        ("50 0 0 50 0 0 0 0", 2),
        ("60 0 20 10 0 0 0 10", 1),
        ("100 0 0 0 0 0 0 0", 1),
    ],
)
def test_choose_threads__by_what_other_programs_leave_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {1000, 1001, 1002, 1003})
    stat(tmp_path, *["0 0 0 0 0 0 0 0"] * 1000, *["7 7 7 7 7 7 7 7"] * 4)
    later = [" ".join(str(7 + int(number)) for number in used.split())] * 4
    monkeypatch.setattr("time.sleep", lambda _seconds: stat(tmp_path, *["0 0 0 0 0 0 0 0"] * 1000, *later))
    assert choose_threads({}, tmp_path).threads == expected


def test_has_gpu__by_its_device_files(tmp_path: Path) -> None:
    assert not has_gpu(tmp_path, {})
    (tmp_path / "nvidiactl").touch()
    assert not has_gpu(tmp_path, {})
    (tmp_path / "nvidia0").touch()
    assert has_gpu(tmp_path, {})
    assert has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"})
    assert not has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": ""})
    assert not has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"})
