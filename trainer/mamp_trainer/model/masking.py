"""Owns which tokens are hidden: motion intensity, scores and the choice of the smallest (section 3.4)."""

import torch
from torch import Tensor

LOG_EPSILON = 1e-10


def motion_intensity(tokens: Tensor, joints: int, temperature: float) -> Tensor:
    """Return how much each token moves (eq. 4), scaled for the softmax of eq. 5.

    A token's intensity is the mean absolute difference from the same joint's previous segment; the first
    segment has none and takes the second's. The largest of a sequence becomes 1/τ, so that τ means the
    same whatever the size of the movement.

    Args:
        tokens: (B, L, l·C), L in the order (segment, joint), at least two segments.
        joints: V.
        temperature: τ of eq. 5.

    Returns:
        (B, L); zeros for a sequence that does not move.
    """
    steps = torch.unflatten(tokens, 1, (-1, joints)).diff(dim=1).abs().mean(dim=-1)
    intensity = torch.cat((steps[:, :1], steps), dim=1).flatten(1)
    return intensity / (intensity.amax(dim=1, keepdim=True) * temperature + LOG_EPSILON)


def masking_score(intensity: Tensor, u: Tensor) -> Tensor:
    """Return log-probabilities with Gumbel noise added (eq. 5–6); the largest are to be hidden.

    Args:
        intensity: (B, L), from `motion_intensity`.
        u: (B, L), drawn from U(0, 1).
    """
    return intensity.log_softmax(dim=1) - torch.log(-torch.log(u + LOG_EPSILON) + LOG_EPSILON)


def keep_smallest(score: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Keep the tokens of the smallest scores and hide the others.

    int(L · (1 - ratio)) tokens are kept, by floating-point truncation as published: 74 of 750 at 0.9.

    Args:
        score: (B, L).
        ratio: the share to hide.

    Returns:
        keep: (B, K) indices of the kept tokens, smallest score first.
        mask: (B, L) bool, true where hidden.
    """
    kept = int(score.shape[1] * (1 - ratio))
    keep = score.argsort(dim=1, stable=True)[:, :kept]
    mask = torch.ones_like(score, dtype=torch.bool).scatter(1, keep, False)
    return keep, mask
