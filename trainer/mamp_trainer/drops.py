"""Owns what fine-tuning leaves out at random: branches of blocks (stochastic depth) and features (dropout).

Like all draws, these are functions of seed, epoch and clip: the same on any number of ranks, and after a resume.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mamp_schemas.recipes import FinetuneRecipe
from mamp_trainer.data.draws import DROP_PATH, DROPOUT, uniform


class DropMasks(NamedTuple):
    """What is left out of the samples of a batch, as factors: 0 where left out, else so that the mean stays.

    Attributes:
        paths: (B, depth, 2), of the two branches, attention and MLP, of every block for every sequence.
        features: (N, M, Te, V, D), of what the head is given.
    """

    drop_path: Tensor
    dropout: Tensor


def draw_drop_masks(recipe: FinetuneRecipe, epoch: int, clip: Tensor, slots: int) -> DropMasks:
    """Draw what is left out.

    Args:
        recipe: says how likely it is.
        epoch: 0-based.
        clip: (N,) int64, global clip indices.
        slots: M.

    Returns:
        Factors on the device of `clip`, float32.
    """
    spec = recipe.model
    u_paths = uniform(recipe.seed, epoch, DROP_PATH, clip, slots * spec.depth * 2)
    u_features = uniform(recipe.seed, epoch, DROPOUT, clip, slots * spec.tokens * spec.width)
    rates = drop_path_rates(spec.depth, recipe.drop_path).to(clip.device)
    return DropMasks(
        drop_path=inverted_dropout_mask(u_paths.view(-1, spec.depth, 2), rates[:, None]),
        dropout=inverted_dropout_mask(
            u_features.view(-1, slots, spec.segments, spec.joints, spec.width), torch.tensor(recipe.dropout)
        ),
    )


def drop_path_rates(depth: int, last: float) -> Tensor:
    """Return how likely each block's branches are left out, (depth,): 0 at the first, `last` at the last."""
    return torch.linspace(0, last, depth)


def inverted_dropout_mask(u: Tensor, rate: Tensor) -> Tensor:
    """Return 0 where u < rate, else 1 / (1 - rate), so that the mean is 1.

    Args:
        u: uniform draws from [0, 1).
        rate: probability of 0, below 1; broadcasts with `u`.
    """
    return (u >= rate).to(u.dtype) / (1 - rate)
