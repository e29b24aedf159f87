"""Skeleton sequences as tokens (section 3.2), and their motion (eq. 2-3)."""

import torch
from torch import Tensor

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


def motion(x_BTVC: Tensor, stride: int) -> Tensor:
    """Return x[t + m] - x[t] in metres (eq. 2), zero in the last m frames (eq. 3).

    Args:
        x_BTVC: (B, T, V, C).
        stride: m.
    """
    differences = torch.zeros_like(x_BTVC)
    differences[:, :-stride] = x_BTVC[:, stride:] - x_BTVC[:, :-stride]
    return differences
