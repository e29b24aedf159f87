"""Memory that is free for clips, and the choice of activation checkpointing."""

import torch

from mamp_schemas.models.objectives import MaskedRecipe
from mamp_schemas.models.recipe import ModelSpec, Precision
from mamp_schemas.system import free_host_memory
from mamp_trainer.data.residency import MemoryBudget
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext

CLIP_MEMORY_SHARE = 0.5
"""Of free memory, what clips may take; the rest is for the model and what else the machine does."""


def measure_budget(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> MemoryBudget:
    """Return half of what is free, the least of all ranks: what depends on it is the same on each.

    Args:
        device: the one that trains.
        dist_context: of the run; those on one host divide its memory.
    """
    free, host = (int(CLIP_MEMORY_SHARE * free_memory(each, dist_context)) for each in (device, torch.device("cpu")))
    return MemoryBudget(device=-dist_context.all_reduce_max(-free), host=-dist_context.all_reduce_max(-host))


def free_memory(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> int:
    """Return the bytes that new work of one rank may take on its device."""
    return (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else free_host_memory() // dist_context.local_world_size
    )


ACTIVATION_MEMORY_SHARE = 0.8
"""Of free memory, what may be kept; the rest is for gradients, moments and what a block needs on the way."""

_NUMBER_BYTES: dict[Precision, float] = {"float32": 4.0, "tf32": 4.0, "bf16": 2.5}
"""Bytes of a kept number, on average: with bf16, the inputs of the norms are still float32."""


def activation_bytes(spec: ModelSpec, kept_tokens: int, sequences: int, precision: Precision) -> int:
    """Estimate what the blocks keep for the backward pass.

    For each token a block keeps eight vectors (what goes into both norms and comes out of them; query, key and
    value; attention's output) and twice the hidden one of the MLP (before and after GELU).

    Args:
        spec: the network's shape.
        kept_tokens: K, tokens that the encoder sees.
        sequences: B, of one forward pass.
        precision: what it computes in.
    """
    numbers = kept_tokens * spec.depth * spec.width + spec.tokens * spec.decoder_depth * spec.decoder_width
    return int(numbers * (8 + 2 * spec.mlp_ratio) * sequences * _NUMBER_BYTES[precision])


def choose_activation_checkpointing(recipe: MaskedRecipe, sequences: int, free_bytes: int) -> tuple[bool, str]:
    """Choose whether the backward pass computes blocks again.

    Args:
        recipe: may say so itself.
        sequences: B, of one forward pass on this device.
        free_bytes: bytes that are free there.

    Returns:
        The choice, and its reason.
    """
    kept = int(recipe.model.tokens * (1 - recipe.masking.ratio))
    need = activation_bytes(recipe.model, kept, sequences, recipe.precision)
    facts = f"{need / 1e9:.2f} GB for {sequences} sequences, {free_bytes / 1e9:.2f} GB are free"
    if recipe.recompute != "auto":
        return recipe.recompute == "always", f"recompute is {recipe.recompute}; {facts}"
    short = need > ACTIVATION_MEMORY_SHARE * free_bytes
    return short, f"{'computed again in the backward pass' if short else 'kept'}; {facts}"
