"""Owns how much of the host's memory new work may take; never torch."""

import os
from pathlib import Path

from mamp_trainer.cgroup import OWN_CGROUPS, CGROUP_ROOT, memory_limits, read_table_value


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
