"""Floating-point operations of a network: matrix products only, 2 for each multiply-add."""

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.mamp import COORDINATES

BACKWARD = 2
"""Forward passes that a backward pass is worth: two products, for inputs and weights, for each one forward."""


def encoder_flops(model: ModelSpec, kept: int) -> int:
    """Return the operations of the encoder's forward pass over one sequence, of which K = `kept` tokens are encoded."""
    embedding = 2 * kept * model.segment * COORDINATES * model.width
    return embedding + model.depth * block_flops(kept, model.width, model.mlp_ratio)


def decoder_flops(model: ModelSpec, kept: int) -> int:
    """Return the operations of the decoder's forward pass over one sequence: K = `kept` features in, L tokens out."""
    width = model.decoder_width
    embedding = 2 * kept * model.width * width
    prediction = 2 * model.tokens * width * model.segment * COORDINATES
    return embedding + model.decoder_depth * block_flops(model.tokens, width, model.mlp_ratio) + prediction


def block_flops(tokens: int, width: int, mlp_ratio: int) -> int:
    """Return the operations of a block's forward pass over n = `tokens`: 2 · (4·n·D² + 2r·n·D² + 2·n²·D).

    The terms are query, key, value and projection; the MLP of ratio r; and attention.
    """
    return 2 * (tokens * width * width * (4 + 2 * mlp_ratio) + 2 * tokens * tokens * width)
