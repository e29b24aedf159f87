"""Free memory: what of it clips may take, and whether activation checkpointing is needed."""

import torch

from mamp_schemas.models.recipe import RecomputeMode
from mamp_schemas.system import free_host_memory
from mamp_trainer.data.residency import MemoryBudget
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext

CLIP_MEMORY_SHARE = 0.5
"""Share of free memory that clips may take; the rest is for the model and other processes."""


def measure_budget(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> MemoryBudget:
    """Return the memory budget of the clips: half of the free memory, the minimum over ranks, so the same on all.

    Args:
        device: the one that trains.
        dist_context: the run's ranks; ranks on one host share its memory.
    """
    free, host = (
        int(CLIP_MEMORY_SHARE * free_memory(memory, dist_context)) for memory in (device, torch.device("cpu"))
    )
    return MemoryBudget(device=-dist_context.all_reduce_max(-free), host=-dist_context.all_reduce_max(-host))


def free_memory(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> int:
    """Return the bytes that are free for one rank on its device."""
    return (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else free_host_memory() // dist_context.local_world_size
    )


ACTIVATION_MEMORY_SHARE = 0.8
"""Share of free memory that activations may take; the rest is for gradients, moments and temporary tensors."""


def choose_activation_checkpointing(mode: RecomputeMode, need_bytes: int, free_bytes: int) -> tuple[bool, str]:
    """Choose whether the backward pass computes blocks again.

    Args:
        mode: what the recipe says.
        need_bytes: what a forward pass keeps for the backward pass; 0 where that is not known.
        free_bytes: bytes that are free on the device.

    Returns:
        The choice, and its reason.
    """
    sizes = f"{need_bytes / 1e9:.2f} GB needed, {free_bytes / 1e9:.2f} GB free"
    if mode != "auto":
        return mode == "always", f"recompute is {mode}; {sizes}"
    short = need_bytes > ACTIVATION_MEMORY_SHARE * free_bytes
    return short, f"{'computed again in the backward pass' if short else 'kept'}; {sizes}"
