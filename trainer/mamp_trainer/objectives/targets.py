"""What a network is to predict, motion or joints (sections 3.3 and 3.5), and the error of the prediction (eq. 11)."""

import torch
from torch import Tensor

from mamp_schemas.models.objectives import AnyTargetSpec
from mamp_trainer.models.tokens import motion, to_tokens

VARIANCE_EPSILON = 1e-6


def normalise_tokens(tokens: Tensor) -> Tensor:
    """Bring each token (B, L, l·C) to mean 0 and variance 1, by its own mean and unbiased variance."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True)
    return (tokens - mean) / (variance + VARIANCE_EPSILON).sqrt()


def denormalise_tokens(predicted: Tensor, tokens: Tensor) -> Tensor:
    """Give tokens (B, L, l·C) predicted as `normalise` leaves them the mean and variance of the true ones."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True)
    return predicted * (variance + VARIANCE_EPSILON).sqrt() + mean


def target_tokens(x_BTVC: Tensor, trajectory_BTVC: Tensor, segment: int, spec: AnyTargetSpec) -> Tensor:
    """Return the target of every token in metres, before it is normalised; arguments are `prediction_target`'s."""
    source = motion(trajectory_BTVC, spec.stride) if spec.kind == "motion" else x_BTVC
    return to_tokens(source, segment)


def prediction_target(x_BTVC: Tensor, trajectory_BTVC: Tensor, segment: int, spec: AnyTargetSpec) -> Tensor:
    """Return the target of every token, hidden or not.

    Args:
        x_BTVC: (B, T, V, C), the joints, target of `joint`.
        trajectory_BTVC: (B, T, V, C), what the motion is taken from, target of `motion`.
        segment: l.
        spec: which target, and whether tokens are normalised.

    Returns:
        (B, L, l·C).
    """
    tokens = target_tokens(x_BTVC, trajectory_BTVC, segment, spec)
    return normalise_tokens(tokens) if spec.normalise else tokens


def masked_error(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the squared error, mean within a token, then over the hidden tokens of all sequences (eq. 11).

    Args:
        pred: (B, L, l·C).
        target: (B, L, l·C).
        mask: (B, L) bool, true where hidden.
    """
    error = (pred - target).square().mean(dim=-1)
    return (error * mask).sum() / mask.sum()
