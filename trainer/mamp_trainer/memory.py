"""Owns how much memory is free for clips: on the device that trains, and on the host."""

from dataclasses import dataclass

import torch

from mamp_trainer.host_memory import free_host_memory
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext

CLIP_MEMORY_SHARE = 0.5
"""Of free memory, what clips may take; the rest is for the model and what else the machine does."""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Bytes that clips may take on the training device and on the host; the same memory where the CPU trains."""

    device: int
    host: int


def measure_budget(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> MemoryBudget:
    """Return half of what is free, the least of all ranks: what depends on it is the same on each.

    Args:
        device: the one that trains.
        ranks: of the run; those on one host divide its memory.
    """
    free, host = (int(CLIP_MEMORY_SHARE * free_memory(each, dist_context)) for each in (device, torch.device("cpu")))
    return MemoryBudget(device=-dist_context.all_reduce_max(-free), host=-dist_context.all_reduce_max(-host))


def free_memory(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> int:
    """Return the bytes that new work of one rank may take on its device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_host_memory() // dist_context.local_world_size
