"""Owns how much memory is free for clips: on the device that trains, and on the host."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

SHARE = 0.5
"""Of free memory, what clips may take; the rest is for the model and what else the machine does."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that clips may take on the training device and on the host; the same memory where the CPU trains."""

    device: int
    host: int


def measure_budget(device: torch.device, sharers: int = 1) -> Budget:
    """Return half of what is free.

    Args:
        device: the one that trains.
        sharers: processes of the run on this host, which divide its memory.
    """
    host = int(SHARE * free_host_memory()) // sharers
    free = int(SHARE * free_memory(device)) if device.type == "cuda" else host
    return Budget(device=free, host=host)


def free_memory(device: torch.device) -> int:
    """Return the bytes that new work may take on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_host_memory()


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
