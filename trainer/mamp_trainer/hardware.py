"""Owns what a record says of the machine: processor, cores, memory and GPUs, as a container is allowed them."""

import os
import platform
from collections import Counter
from pathlib import Path

import torch

from mamp_schemas.results import Hardware
from mamp_trainer.cgroup import OWN_CGROUPS, CGROUP_ROOT, count_cores, memory_limits

_PROC = Path("/proc")


def describe_hardware(ranks: int) -> Hardware:
    """Return what this process trains on; nothing of it names the machine or its user.

    Args:
        ranks: processes that train together.
    """
    present = os.cpu_count() or 1
    return Hardware(
        cpu=cpu_name(),
        cores=count_cores(),
        cores_present=present,
        memory_gb=round(total_memory() / 1e9, 1),
        gpus=dict(Counter(torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count()))),
        ranks=ranks,
    )


def cpu_name(proc: Path = _PROC) -> str:
    """Return the processor's model as the kernel tells it, else its architecture."""
    table = proc / "cpuinfo"
    lines = table.read_text().splitlines() if table.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def limit_torch_threads(cores: int) -> None:
    """Have torch compute by no more threads than there are cores: of a container's share it does not know.

    What the user says by OMP_NUM_THREADS stands.
    """
    if "OMP_NUM_THREADS" not in os.environ and cores < torch.get_num_threads():
        torch.set_num_threads(cores)


def total_memory(root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> int:
    """Return the bytes of memory that the machine has, or that a container or job may have of them."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *(limit.limit for limit in memory_limits(root, own))])
