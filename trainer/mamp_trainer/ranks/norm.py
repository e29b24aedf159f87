"""Batch normalisation over the clips of all ranks, for features that need no gradient."""

import torch
from torch import Tensor, nn

from mamp_trainer.ranks.group import Ranks


class RankBatchNorm(nn.BatchNorm1d):
    """Batch normalisation without learned scale whose statistics are those of the global batch.

    The features come from a fixed encoder, so no gradient passes through the statistics, and plain sums suffice.

    Args:
        norm: the layer that it stands for; its running statistics and settings are taken over.
        ranks: who holds the other clips.
    """

    def __init__(self, norm: nn.BatchNorm1d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum, affine=False)
        self.load_state_dict(norm.state_dict())
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalise features (N, D); in training by the mean and variance of all ranks' N."""
        if not self.training:
            return super().forward(input)
        with torch.no_grad():
            total = self.ranks.add(torch.cat((input.sum(dim=0), input.new_tensor([len(input)]))))
            count, mean = total[-1], total[:-1] / total[-1]
            variance = self.ranks.add((input - mean).square().sum(dim=0)) / count
            self._remember(mean, variance * count / (count - 1))
        return (input - mean) / (variance + self.eps).sqrt()

    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        """Move the running statistics, as the layer does by itself."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum or 0.0)
