"""Batch normalisation over the clips of all ranks, on CPU and GPU (torch's SyncBatchNorm needs CUDA)."""

from typing import Any

import torch
from torch import Tensor, nn

from mamp_trainer.distributed.context import DistContext


class DistributedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation with the statistics of the global batch. Gradients pass through the statistics.

    Args:
        norm: the layer to replace; its weights, running statistics and settings are copied.
        dist_context: the ranks that share the batch.
    """

    def __init__(self, norm: nn.BatchNorm1d, dist_context: DistContext) -> None:
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum, affine=norm.affine)
        self.load_state_dict(norm.state_dict())
        self.dist_context = dist_context

    def forward(self, input: Tensor) -> Tensor:
        """Normalise features (N, D); in training by the mean and variance over the N of all ranks."""
        if not self.training:
            return super().forward(input)
        total = self._all_reduce(torch.cat((input.sum(dim=0), input.new_tensor([len(input)]))))
        count, mean = total[-1].detach(), total[:-1] / total[-1].detach()
        variance = self._all_reduce((input - mean).square().sum(dim=0)) / count
        with torch.no_grad():
            self._update_running_statistics(mean, variance * count / (count - 1))
        normalised = (input - mean) / (variance + self.eps).sqrt()
        return torch.addcmul(self.bias, normalised, self.weight) if self.affine else normalised

    def _all_reduce(self, values: Tensor) -> Tensor:
        total: Tensor = _AllReduceSum.apply(values, self.dist_context)  # type: ignore[no-untyped-call]
        return total

    def _update_running_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Update the running statistics as `nn.BatchNorm1d` does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), self.momentum or 0.0)


def distribute_batchnorm(module: nn.Module, dist_context: DistContext) -> None:
    """Replace every BatchNorm1d inside a module by one over the clips of all ranks."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d):
            setattr(module, name, DistributedBatchNorm(child, dist_context).to(_device(child)))
        else:
            distribute_batchnorm(child, dist_context)


def _device(norm: nn.BatchNorm1d) -> torch.device | None:
    return next((tensor.device for tensor in norm.state_dict().values()), None)


class _AllReduceSum(torch.autograd.Function):
    """The sum over all ranks. The loss of each rank depends on the sum, so the gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, dist_context: DistContext) -> Tensor:
        ctx.dist_context = dist_context
        return dist_context.all_reduce_sum(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.dist_context.all_reduce_sum(gradients[0].clone()), None
