"""The pre-norm transformer (eq. 8) that encoders and decoders are made of, and its linear layer."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mamp_trainer.models.heartbeat import beat, beat_in_backward

_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Linear(nn.Linear):
    """A linear layer that computes float32 products on a CPU by oneDNN, as a convolution over single points.

    By default torch multiplies float32 matrices on a CPU by MKL, which is half as fast as oneDNN on CPUs that are not
    Intel's (docs/performance.md). The results are the same up to rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        beat()
        mapped = self._product(x)
        beat_in_backward(mapped)
        return mapped

    def _product(self, x: Tensor) -> Tensor:
        if not _uses_onednn(x):
            return super().forward(x)
        points = x.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        mapped = F.conv2d(points, self.weight[:, :, None, None], self.bias)
        return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


def _uses_onednn(x: Tensor) -> bool:
    return (
        not torch.compiler.is_exporting()  # an exported program runs elsewhere: it keeps a plain linear layer
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


class Attention(nn.Module):
    """Multi-head self-attention: MSA of eq. 8, with biases on query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = xavier_linear(width, 3 * width)
        self.proj = xavier_linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the tokens of each sequence: (B, L, D) to (B, L, D)."""
        heads = torch.unflatten(self.qkv(x), 2, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return mixed


class MLP(nn.Module):
    """Two linear layers around an exact GELU: MLP of eq. 8."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = xavier_linear(width, hidden)
        self.fc2 = xavier_linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map each token on its own: (B, L, D) to (B, L, D)."""
        mapped: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mapped


class Block(nn.Module):
    """A transformer block (eq. 8): x + MSA(LN(x)), then x + MLP(LN(x)).

    Args:
        width: D.
        heads: attention heads; D is a multiple of it.
        mlp_ratio: hidden width of the MLP over D.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, mlp_ratio * width)

    def forward(self, x: Tensor, drop_path: Tensor | None = None) -> Tensor:
        """Transform sequences.

        Args:
            x: (B, L, D).
            drop_path: (B, 2), factors of the two branches for every sequence (stochastic depth); 1 by default.

        Returns:
            (B, L, D).
        """
        attention, mlp = (None, None) if drop_path is None else drop_path[:, :, None, None].unbind(1)
        x = x + _scale(self.attn(self.norm1(x)), attention)
        transformed: Tensor = x + _scale(self.mlp(self.norm2(x)), mlp)
        return transformed


class Blocks(nn.Sequential):
    """A sequence of blocks.

    Attributes:
        activation_checkpointing: whether the backward pass computes each block again from its input, instead of keeping
            the activations of the forward pass: a sixteenth of the memory for a third more work, same numbers.
    """

    def __init__(self, depth: int, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__(*(Block(width, heads, mlp_ratio) for _ in range(depth)))
        self.activation_checkpointing = False

    def forward(self, x: Tensor, drop_path: Tensor | None = None) -> Tensor:
        """Transform (B, L, D) to (B, L, D); `drop_path` (B, depth, 2) holds the factors of each block."""
        for number, block in enumerate(self):
            factors = None if drop_path is None else drop_path[:, number]
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = cast("Tensor", checkpoint(block, x, factors, use_reentrant=False))
            else:
                x = block(x, factors)
        return x


def set_activation_checkpointing(network: nn.Module, enabled: bool) -> None:
    """Choose whether the backward pass computes the blocks of a network again; the numbers are the same."""
    for module in network.modules():
        if isinstance(module, Blocks):
            module.activation_checkpointing = enabled


def _scale(branch: Tensor, factor: Tensor | None) -> Tensor:
    return branch if factor is None else branch * factor
