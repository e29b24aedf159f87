"""What this process may use of the machine, cores and memory, within the limits of its control groups."""

import os
import platform
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import NamedTuple

CGROUP_ROOT, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

_MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of version 2 and of version 1: the limit, what is used of it, and the part of that which is given back at need."""


class MemoryLimit(NamedTuple):
    """Bytes that a group may have, and those that it has and cannot give back."""

    limit: int
    used: int


def count_cores(root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> int:
    """Return how many cores this process may use: by its affinity, and by its share, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cpu_quota(root, own)
    return allowed if share is None else max(1, min(allowed, ceil(share)))


def cpu_quota(root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> float | None:
    """Return the cores' worth of time that the groups grant; None where they set no limit."""
    quotas = (_read_cpu_quota(folder) for folder in _cgroup_folders("cpu", root, own))
    shares = [int(quota) / int(period) for quota, period in quotas if quota not in ("max", "-1")]
    return min(shares, default=None)


def memory_limits(root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> list[MemoryLimit]:
    """Return the limits that the groups set; version 1 says none by a number beyond any machine's memory."""
    return [
        MemoryLimit(int(text), int((folder / used).read_text()) - read_table_value(folder / "memory.stat", spare))
        for folder in _cgroup_folders("memory", root, own)
        for limit, used, spare in _MEMORY_FILES
        if (text := _read_text(folder / limit)) not in ("", "max")
    ]


def read_table_value(table: Path, name: str) -> int:
    """Return a number from a table of one name and number a line."""
    return next(int(line.split()[1]) for line in table.read_text().splitlines() if line.split()[0] == name)


def _read_cpu_quota(folder: Path) -> tuple[str, str]:
    if limit := _read_text(folder / "cpu.max"):
        quota, period = limit.split()
        return quota, period
    return _read_text(folder / "cpu.cfs_quota_us") or "max", _read_text(folder / "cpu.cfs_period_us")


def _read_text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _cgroup_folders(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, each followed by those above it.

    Of version 2 there is one tree, of version 1 one for each controller.
    """
    for line in own.read_text().splitlines() if own.exists() else ():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        tree = root / controller if names else root
        group = tree / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder == tree or tree in folder.parents)


def free_host_memory(meminfo: Path = Path("/proc/meminfo"), root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> int:
    """Return the bytes that new work may take: what the system and the limits of a container or job leave.

    Args:
        meminfo: the kernel's account; where there is none, half of the machine's memory counts as free.
        root: the folder of control groups.
        own: the list of those that this process is in.
    """
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    left = [limit.limit - limit.used for limit in memory_limits(root, own)]
    return max(min([1024 * read_table_value(meminfo, "MemAvailable:"), *left]), 0)


_PROC = Path("/proc")


def cpu_name(proc: Path = _PROC) -> str:
    """Return the processor's model as the kernel tells it, else its architecture."""
    table = proc / "cpuinfo"
    lines = table.read_text().splitlines() if table.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def total_memory(root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> int:
    """Return the bytes of memory that the machine has, or that a container or job may have of them."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *(limit.limit for limit in memory_limits(root, own))])
