"""Owns how much of the host's memory new work may take; never torch."""

import os
from pathlib import Path


def free_host_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that new work may take: what the system and the container's limit leave.

    Args:
        meminfo: the kernel's account; where there is none, half of the machine's memory counts as free.
        cgroup: the folder of the container's version 2 control group.
    """
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    free = 1024 * _fact(meminfo, "MemAvailable:")
    limit = cgroup / "memory.max"
    if not limit.exists() or limit.read_text().strip() == "max":
        return free
    used = int((cgroup / "memory.current").read_text()) - _fact(cgroup / "memory.stat", "inactive_file")
    return max(min(free, int(limit.read_text()) - used), 0)


def _fact(table: Path, name: str) -> int:
    """Return a number from a table of one name and number a line."""
    return next(int(line.split()[1]) for line in table.read_text().splitlines() if line.split()[0] == name)
