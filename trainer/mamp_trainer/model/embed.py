"""Owns how a sequence becomes embedded tokens: cutting, joint embedding and learnable embeddings."""

import torch
from torch import Tensor, nn

from mamp_schemas.recipe_specs import ModelSpec
from mamp_trainer.model.projection import Linear

COORDINATES = 3
"""C: the x, y and z of a joint."""


def to_tokens(x_BTVC: Tensor, segment: int) -> Tensor:
    """Cut sequences into tokens (section 3.2).

    Args:
        x_BTVC: (B, T, V, C), T a multiple of `segment`.
        segment: l, frames of a token.

    Returns:
        (B, L, l·C): tokens in the order (segment, joint), their numbers in the order (frame, coordinate).
    """
    segments = torch.unflatten(x_BTVC, 1, (-1, segment))
    return segments.transpose(2, 3).flatten(3).flatten(1, 2)


def from_tokens(tokens: Tensor, joints: int) -> Tensor:
    """Put tokens (B, L, l·C) together to sequences (B, T, V, C): the inverse of `to_tokens`.

    Args:
        tokens: in the order (segment, joint).
        joints: V.
    """
    parts = torch.unflatten(torch.unflatten(tokens, 2, (-1, COORDINATES)), 1, (-1, joints))
    return parts.transpose(2, 3).flatten(1, 2)


def learnable(*shape: int) -> nn.Parameter:
    """Return a learnable embedding, drawn from a truncated normal of standard deviation 0.02."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


class JointEmbedding(nn.Module):
    """One linear map from a token's numbers to D (eq. 1).

    The weights start as those of the equal convolution over frames would: torch's default for the same
    fan-in, unlike the Xavier-uniform linears of the rest of the network.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.proj = Linear(spec.segment * COORDINATES, spec.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed tokens (B, K, l·C) to (B, K, D)."""
        embedded: Tensor = self.proj(tokens)
        return embedded
