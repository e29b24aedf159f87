"""Floating-point operations that a network takes, counting matrix products only, 2 for each multiply-add."""

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.mamp import COORDINATES

BACKWARD = 2
"""A backward pass takes two products, for inputs and weights, where the forward pass takes one."""


def encoder_flops(model: ModelSpec, kept: int) -> int:
    """Return a forward pass's over one sequence, of which K kept tokens are embedded and encoded."""
    embedding = 2 * kept * model.segment * COORDINATES * model.width
    return embedding + model.depth * block_flops(kept, model.width, model.mlp_ratio)


def decoder_flops(model: ModelSpec, kept: int) -> int:
    """Return a forward pass's over one sequence: K features embedded, L tokens decoded and predicted."""
    width = model.decoder_width
    embedding = 2 * kept * model.width * width
    prediction = 2 * model.tokens * width * model.segment * COORDINATES
    return embedding + model.decoder_depth * block_flops(model.tokens, width, model.mlp_ratio) + prediction


def block_flops(tokens: int, width: int, mlp_ratio: int) -> int:
    """Return a block's, forward: query, key, value and projection 4·n·D², MLP 2r·n·D², attention 2·n²·D; times 2."""
    return 2 * (tokens * width * width * (4 + 2 * mlp_ratio) + 2 * tokens * tokens * width)
