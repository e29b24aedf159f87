"""The cores and memory that this process may use, within the limits of its control groups; threads; the CPU's name.

Containers, batch jobs and systemd limit a process by Linux control groups (cgroups): version 2 has one tree, version 1
one tree for each controller. A limit may be set at any level, so the smallest of a group and those above it counts. The
folders are parameters so that tests can give their own.
"""

import os
import platform
import time
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from math import ceil
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
CGROUP_ROOT = Path("/sys/fs/cgroup")
PROCESS_CGROUPS = PROC / "self" / "cgroup"
"""Lists the control groups of this process."""

_MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""For versions 2 and 1: the limit, the memory in use, and the key of the cache in it that can be given back."""


class MemoryLimit(NamedTuple):
    """The memory limit of a control group.

    Attributes:
        limit: bytes that it may use.
        used: bytes in use that it cannot give back.
    """

    limit: int
    used: int


def count_cores(root: Path = CGROUP_ROOT, groups: Path = PROCESS_CGROUPS) -> int:
    """Return the cores that this process may use, by its affinity and its CPU quota (rounded up)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root, groups)
    return allowed if quota is None else max(1, min(allowed, ceil(quota)))


def cpu_quota(root: Path = CGROUP_ROOT, groups: Path = PROCESS_CGROUPS) -> float | None:
    """Return the CPU time that the control groups grant, in cores; None if they set no limit."""
    quotas = (_read_cpu_quota(folder) for folder in _cgroup_folders("cpu", root, groups))
    return min((int(quota) / int(period) for quota, period in quotas if quota not in ("max", "-1")), default=None)


THREADS = "MAMPCTL_THREADS"
"""Set by `--threads` as well, and so known to the processes that this one starts."""

RANK_THREADS = "MAMPCTL_LAUNCHER_THREADS"
"""In one of several processes that the launcher started: the threads that it chose for each."""

_THREAD_VARIABLES = (THREADS, "OMP_NUM_THREADS", "MKL_NUM_THREADS")

_SAMPLE_SECONDS = 0.2


class ThreadChoice(NamedTuple):
    """How many threads a process computes by.

    Attributes:
        threads: at least 1.
        reason: why so many, in words.
        variable: the environment variable by which the user said so; None where nothing was said.
    """

    threads: int
    reason: str
    variable: str | None = None


def choose_threads(environment: Mapping[str, str] = os.environ, proc: Path = PROC) -> ThreadChoice:
    """Return the number of threads to compute by: as a variable says, or as many as there are free cores.

    Two hardware threads of a core count once. A core is free as far as no other process uses it: for that the kernel's
    counters are read twice, 0.2 s apart; where they do not move, the load average is taken.

    Args:
        environment: MAMPCTL_THREADS, OMP_NUM_THREADS and MKL_NUM_THREADS are read, in this order.
        proc: the kernel's folder.
    """
    if (launched := _positive(environment.get(RANK_THREADS))) and not _positive(environment.get(THREADS)):
        return ThreadChoice(launched, "this rank's share of the free cores")
    for name in _THREAD_VARIABLES:
        if threads := _positive(environment.get(name)):
            return ThreadChoice(threads, f"{name} says so", name)
    return _free_threads(proc)


@cache
def _free_threads(proc: Path) -> ThreadChoice:
    """Measure once a process: all that it computes is computed by the same number of threads."""
    cores = _allowed_cores()
    busy = _busy_cores(cores, proc)
    limit = min(len(cores), cpu_quota() or len(cores))
    threads = max(1, int(min(len(cores) - busy, limit) + 0.5))
    return ThreadChoice(threads, f"{_cores_text(limit)}, {busy:.1f} in use by other programs")


def _cores_text(cores: float) -> str:
    return "1 core" if cores == 1 else f"{cores:g} cores"


def _positive(text: str | None) -> int:
    """Return the number that a variable says (of `4,2` the first); 0 for none."""
    first = (text or "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and len(first) < 6 else 0


def _allowed_cores() -> list[set[int]]:
    """Return the cores that this process may use, each with the numbers of its hardware threads."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {*range(os.cpu_count() or 1)}
    cores: dict[str, set[int]] = {}
    for number in sorted(allowed):
        siblings = _read_text(Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"))
        cores.setdefault(siblings or str(number), set()).add(number)
    return [*cores.values()]


def _busy_cores(cores: list[set[int]], proc: Path) -> float:
    """Return how many of the cores are in use by other processes: a number from 0 to all of them."""
    before = _cpu_times(proc)
    time.sleep(_SAMPLE_SECONDS)
    after = _cpu_times(proc)
    shares = {
        number: (after[number][0] - before[number][0]) / (after[number][1] - before[number][1])
        for number in after.keys() & before.keys()
        if after[number][1] > before[number][1]
    }
    if shares:
        return sum(min(sum(shares.get(number, 0.0) for number in core), 1.0) for core in cores)
    load = _read_text(proc / "loadavg").partition(" ")[0]
    present = max(os.cpu_count() or 1, 1)
    return min(float(load) * len(cores) / present, float(len(cores))) if load else 0.0


def _cpu_times(proc: Path) -> dict[int, tuple[int, int]]:
    """Return the time that each hardware thread was in use, and all time, in ticks since the machine's start.

    Programs of low priority (nice) give way, and waiting for a disk takes no core: these do not count as use.
    """
    times = {}
    for line in _read_text(proc / "stat").splitlines():
        name, *fields = line.split()
        if name[:3] == "cpu" and name[3:].isdecimal() and len(fields) >= 8:
            user, nice, system, idle, waiting, *interrupts = (int(field) for field in fields[:8])
            busy = user + system + sum(interrupts)
            times[int(name[3:])] = (busy, busy + nice + idle + waiting)
    return times


_WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep while they wait for each other, unless a variable says how they wait.

    By default they spin, and so keep the core that the thread they wait for needs: on a busy machine a step by two
    threads then takes several times as long as by one. GNU's library, which torch uses on Linux, spins some
    microseconds before it sleeps: a thread that is waited for is mostly done by then. Works only before torch is
    imported.
    """
    if not any(name in environment for name in _WAIT_VARIABLES):
        environment.update({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"})


def has_gpu(devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a GPU is here that torch may see, without importing torch: NVIDIA's, or AMD's by ROCm."""
    if environment.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    return any(True for name in ("nvidia[0-9]*", "dxg", "kfd") for _ in devices.glob(name))


def memory_limits(root: Path = CGROUP_ROOT, groups: Path = PROCESS_CGROUPS) -> list[MemoryLimit]:
    """Return the memory limits of the control groups. Version 1 has a huge number where there is no limit."""
    return [
        MemoryLimit(int(text), int((folder / used).read_text()) - _read_number(folder / "memory.stat", cache))
        for folder in _cgroup_folders("memory", root, groups)
        for limit, used, cache in _MEMORY_FILES
        if (text := _read_text(folder / limit)) not in ("", "max")
    ]


def total_memory(root: Path = CGROUP_ROOT, groups: Path = PROCESS_CGROUPS) -> int:
    """Return the bytes of memory of the machine, or of the container or job."""
    return min([_installed_memory(), *(limit.limit for limit in memory_limits(root, groups))])


def free_host_memory(meminfo: Path = PROC / "meminfo", root: Path = CGROUP_ROOT, groups: Path = PROCESS_CGROUPS) -> int:
    """Return the bytes of memory that are free, on the machine and within the control groups.

    Args:
        meminfo: the kernel's file; where there is none, half of the installed memory counts as free.
        root: the folder of control groups.
        groups: the list of those of this process.
    """
    if not meminfo.exists():
        return _installed_memory() // 2
    free = [limit.limit - limit.used for limit in memory_limits(root, groups)]
    return max(min([1024 * _read_number(meminfo, "MemAvailable:"), *free]), 0)


def cpu_name(proc: Path = PROC) -> str:
    """Return the CPU's model name from the kernel, or its architecture."""
    cpuinfo = proc / "cpuinfo"
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _installed_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read_number(file: Path, key: str) -> int:
    """Return a number from a file that has one key and number a line."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == key)


def _read_cpu_quota(folder: Path) -> tuple[str, str]:
    """Return a group's CPU quota and its period, microseconds; "max" or "-1" for no limit."""
    if limit := _read_text(folder / "cpu.max"):
        quota, period = limit.split()
        return quota, period
    return _read_text(folder / "cpu.cfs_quota_us") or "max", _read_text(folder / "cpu.cfs_period_us")


def _read_text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _cgroup_folders(controller: str, root: Path, groups: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, each followed by those above it."""
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        tree = root / controller if controllers else root
        group = tree / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder == tree or tree in folder.parents)
