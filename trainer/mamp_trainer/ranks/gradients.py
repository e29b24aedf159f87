"""The gradients of a step in one tensor, so that ranks add them in one go and one number tells whether they are sound.

Why not DistributedDataParallel: the ranks' losses are means over unequal numbers of terms, so gradients are to be
added, weighted, not averaged; parts of a batch add up by themselves, without a switch that holds back
communication; and the network stays the network, under its own names.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mamp_trainer.ranks.group import DistContext


class FlatGradients:
    """Makes the gradients of parameters views of one tensor.

    Args:
        parameters: of one dtype, on one device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._flat = torch.cat([torch.zeros_like(parameter).flatten() for parameter in parameters])
        at = 0
        for parameter in parameters:
            parameter.grad = self._flat[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()

    def zero(self) -> None:
        """Set all of them to zero, for backward passes to add to."""
        self._flat.zero_()

    def all_reduce(self, dist_context: DistContext) -> None:
        """Replace each rank's gradients by their sum over all ranks."""
        dist_context.all_reduce_sum(self._flat)

    def norm(self) -> Tensor:
        """Return the Euclidean norm over all parameters, a scalar on their device."""
        norm: Tensor = torch.linalg.vector_norm(self._flat)
        return norm
