"""The network of the paper (section 3): cut clips into tokens, mask some, encode the others, decode all.

Shapes, here and in the modules around:

    N  clips                     T   frames (120)
    M  bodies of a clip (2)      V   joints (25)
    B  sequences, N·M            C   coordinates (3)
    D  width (256)               l   frames of a token (4)
    K  kept tokens (74)          Te  segments, T/l (30)
                                 L   tokens, Te·V (750)

Every body is a sequence of its own, empty ones included. Lengths are in metres. `MAMP`, at the end, puts the parts
together; what is predicted, and the loss, are the objective's (`mamp_trainer.objectives`).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.transformer import Blocks, Linear, xavier_linear

COORDINATES = 3
"""C: the x, y and z of a joint."""

LOG_EPSILON = 1e-10


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
    """Return log-probabilities plus Gumbel noise (eq. 5-6); the tokens of the largest scores are masked.

    Args:
        intensity: (B, L), from `motion_intensity`.
        u: (B, L), drawn from U(0, 1).
    """
    return intensity.log_softmax(dim=1) - torch.log(-torch.log(u + LOG_EPSILON) + LOG_EPSILON)


def keep_smallest(score: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Keep the tokens of the smallest scores and mask the others.

    int(L · (1 - ratio)) tokens are kept, by floating-point truncation as published: 74 of 750 at 0.9.

    Args:
        score: (B, L).
        ratio: share of the tokens to be masked.

    Returns:
        keep: (B, K) indices of the kept tokens, smallest score first.
        mask: (B, L) bool, true where masked.
    """
    kept = int(score.shape[1] * (1 - ratio))
    keep = score.argsort(dim=1, stable=True)[:, :kept]
    mask = torch.ones_like(score, dtype=torch.bool).scatter(1, keep, False)
    return keep, mask


def learnable(*shape: int) -> nn.Parameter:
    """Return a learnable embedding, drawn from a truncated normal of standard deviation 0.02."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


class JointEmbedding(nn.Module):
    """One linear map from a token's numbers to D (eq. 1).

    Its initial weights are torch's default, those of the equivalent convolution over frames; the other linear layers
    of the network start from Xavier-uniform weights.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.proj = Linear(spec.segment * COORDINATES, spec.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed tokens (B, K, l·C) to (B, K, D)."""
        embedded: Tensor = self.proj(tokens)
        return embedded


class Encoder(nn.Module):
    """A transformer over the kept tokens of a sequence; its parameters have the names of the released checkpoints."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.joints_embed = JointEmbedding(spec)
        self.temp_embed = learnable(1, spec.segments, 1, spec.width)
        self.pos_embed = learnable(1, 1, spec.joints, spec.width)
        self.blocks = Blocks(spec.depth, spec.width, spec.heads, spec.mlp_ratio)
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, x_BTVC: Tensor, keep: Tensor | None = None, drop_path: Tensor | None = None) -> Tensor:
        """Encode sequences.

        Args:
            x_BTVC: (B, T, V, C), metres; with `spec.input` motion, their differences from frame to frame are encoded.
            keep: (B, K) indices of the tokens to encode; all of them by default.
            drop_path: (B, depth, 2), factors of the branches of each block (stochastic depth); 1 by default.

        Returns:
            (B, K, D) in the order of `keep`, or (B, L, D) in the order (segment, joint).
        """
        tokens = to_tokens(motion(x_BTVC, 1) if self.spec.input == "motion" else x_BTVC, self.spec.segment)
        positions = (self.temp_embed + self.pos_embed).flatten(0, 2)
        if keep is not None:
            tokens = tokens.take_along_dim(keep[:, :, None], dim=1)
            # Not positions[keep]: with several threads its gradient is summed in an order that changes.
            positions = F.embedding(keep, positions)
        features: Tensor = self.norm(self.blocks(self.joints_embed(tokens) + positions, drop_path))
        return features


class Decoder(nn.Module):
    """A transformer over all tokens; a shared, learned token stands for the masked ones."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        width = spec.decoder_width
        self.spec = spec
        self.embed = xavier_linear(spec.width, width)
        self.mask_token = learnable(1, 1, width)
        self.temp_embed = learnable(1, spec.segments, 1, width)
        self.pos_embed = learnable(1, 1, spec.joints, width)
        self.blocks = Blocks(spec.decoder_depth, width, spec.decoder_heads, spec.mlp_ratio)
        self.norm = nn.LayerNorm(width)
        self.pred = xavier_linear(width, spec.segment * COORDINATES)

    def forward(self, features: Tensor, keep: Tensor) -> Tensor:
        """Predict the target of every token.

        Args:
            features: (B, K, D), the encoder's output.
            keep: (B, K), the tokens that `features` belong to.

        Returns:
            (B, L, l·C).
        """
        kept: Tensor = self.embed(features)
        # Under autocast the linear layer's output has another dtype than the parameter; scatter needs one dtype.
        masked = self.mask_token.to(kept.dtype).expand(len(kept), self.spec.tokens, -1)
        tokens = masked.scatter(1, keep[:, :, None].expand_as(kept), kept)
        positions = (self.temp_embed + self.pos_embed).flatten(1, 2)
        predicted: Tensor = self.pred(self.norm(self.blocks(tokens + positions)))
        return predicted


class MAMPOutput(NamedTuple):
    """The output of a forward pass.

    Attributes:
        pred: (B, L, l·C), the prediction for every token, masked or not.
        mask: (B, L) bool, true where masked.
    """

    pred: Tensor
    mask: Tensor


class MAMP(nn.Module):
    """The pre-training network: 10,368,524 parameters at the default shape.

    Initial weights are drawn from torch's global generator: seed it with `torch.manual_seed`.
    """

    def __init__(self, spec: ModelSpec, masking: MaskingSpec) -> None:
        super().__init__()
        self.spec = spec
        self.masking = masking
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)

    def forward(self, x_BTVC: Tensor, u_BL: Tensor, trajectory_BTVC: Tensor | None = None) -> MAMPOutput:
        """Mask tokens and predict all of them.

        Args:
            x_BTVC: (B, T, V, C), metres.
            u_BL: (B, L), drawn from U(0, 1), the only random numbers of the masking.
            trajectory_BTVC: (B, T, V, C), what motion intensity is taken from; `x_BTVC` by default.
        """
        trajectory = x_BTVC if trajectory_BTVC is None else trajectory_BTVC
        keep, mask = keep_smallest(self._masking_score(trajectory, u_BL), self.masking.ratio)
        return MAMPOutput(self.decoder(self.encoder(x_BTVC, keep), keep), mask)

    def _masking_score(self, trajectory: Tensor, u: Tensor) -> Tensor:
        if self.masking.strategy == "uniform":
            return u
        tokens = to_tokens(trajectory, self.spec.segment)
        return masking_score(motion_intensity(tokens, self.spec.joints, self.masking.temperature), u)
