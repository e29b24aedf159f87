"""Owns the linear layer that the network is made of, and how it is computed on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Linear(nn.Linear):
    """A linear layer whose float32 products on a CPU are made by oneDNN, as a convolution over single points.

    torch has MKL multiply float32 matrices on a CPU, and MKL reaches half of what oneDNN does on a CPU that is not
    Intel's (docs/performance.md). The numbers are the same but for rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        if not _uses_onednn(x):
            return super().forward(x)
        points = x.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        mapped = F.conv2d(points, self.weight[:, :, None, None], self.bias)
        return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


def _uses_onednn(x: Tensor) -> bool:
    return (
        not torch.compiler.is_exporting()  # what is exported runs elsewhere: there a linear layer is to be one
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and _ONEDNN
        and not torch.is_autocast_enabled("cpu")
    )


def xavier_linear(inputs: int, outputs: int) -> Linear:
    """Return a linear layer with Xavier-uniform weights and zero biases."""
    linear = Linear(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
