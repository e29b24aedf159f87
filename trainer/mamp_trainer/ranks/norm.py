"""Batch normalisation over the clips of all ranks."""

from typing import Any

import torch
from torch import Tensor, nn

from mamp_trainer.ranks.group import Ranks


class RankBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the global batch, and whose gradients pass through them.

    Args:
        norm: the layer that it stands for; its weights, running statistics and settings are taken over.
        ranks: who holds the other clips.
    """

    def __init__(self, norm: nn.BatchNorm1d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum, affine=norm.affine)
        self.load_state_dict(norm.state_dict())
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalise features (N, D); in training by the mean and variance of all ranks' N."""
        if not self.training:
            return super().forward(input)
        total = self._add(torch.cat((input.sum(dim=0), input.new_tensor([len(input)]))))
        count, mean = total[-1].detach(), total[:-1] / total[-1].detach()
        variance = self._add((input - mean).square().sum(dim=0)) / count
        with torch.no_grad():
            self._remember(mean, variance * count / (count - 1))
        normalised = (input - mean) / (variance + self.eps).sqrt()
        return torch.addcmul(self.bias, normalised, self.weight) if self.affine else normalised

    def _add(self, values: Tensor) -> Tensor:
        total: Tensor = _Added.apply(values, self.ranks)  # type: ignore[no-untyped-call]
        return total

    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        """Move the running statistics, as the layer does by itself."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum or 0.0)


class _Added(torch.autograd.Function):
    """The sum of all ranks' values; each rank's loss depends on every rank's, so gradients are added up as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.add(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.add(gradients[0].clone()), None
