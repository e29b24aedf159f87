"""The plain pre-training step, which the benchmarks measure against: eager float32, attention as a matrix.

Written as in usual scripts: all tokens are embedded and then gathered, every token is predicted and has a target,
both body slots are computed, and AdamW is torch's default. Weights and draws are those of the network it is
compared with.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamp_schemas.models.objectives import MAMPRecipe
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import RngStream, uniform
from mamp_trainer.models.mamp import MAMP


class PlainStep:
    """Forward, backward and update of a network's weights, in plain operations.

    Args:
        model: provides weights and shape; its own forward is not used.
        recipe: shape, seed and ratio; masking and target are the published ones, whatever it says.
        lr: learning rate.
    """

    def __init__(self, model: MAMP, recipe: MAMPRecipe, lr: float) -> None:
        self.model, self.recipe = model, recipe
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.05)

    def __call__(self, batch: Batch, epoch: int) -> Tensor:
        loss = self.loss(batch, epoch)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss

    def loss(self, batch: Batch, epoch: int) -> Tensor:
        spec = self.recipe.model
        slots = batch.x.shape[1]
        u = uniform(self.recipe.seed, epoch, RngStream.MASK, batch.clip, slots * spec.tokens).view(-1, spec.tokens)
        x = batch.x.flatten(0, 1)
        score = self._score(x, u)
        keep = score.argsort(dim=1)[:, : int(spec.tokens * (1 - self.recipe.masking.ratio))]
        mask = torch.ones_like(score).scatter(1, keep, 0)
        error = (self._predict(x, keep) - self._target(x)).pow(2).mean(dim=-1)
        return (error * mask).sum() / mask.sum()

    def _score(self, x: Tensor, u: Tensor) -> Tensor:
        segments = self._segments(x)
        steps = (segments[:, 1:] - segments[:, :-1]).abs().mean(dim=-1)
        intensity = torch.cat([steps[:, :1], steps], dim=1).flatten(1)
        intensity = intensity / (intensity.max(dim=1, keepdim=True).values * self.recipe.masking.temperature + 1e-10)
        noise = -torch.log(-torch.log(u + 1e-10) + 1e-10)
        return torch.log(F.softmax(intensity, dim=1)) + noise

    def _target(self, x: Tensor) -> Tensor:
        motion = torch.cat([x[:, 1:] - x[:, :-1], torch.zeros_like(x[:, :1])], dim=1)
        tokens = self._segments(motion).flatten(1, 2)
        return (tokens - tokens.mean(dim=-1, keepdim=True)) / (tokens.var(dim=-1, keepdim=True) + 1e-6) ** 0.5

    def _segments(self, x: Tensor) -> Tensor:
        count, frames, joints, coordinates = x.shape
        length = self.recipe.model.segment
        cut = x.reshape(count, frames // length, length, joints, coordinates).permute(0, 1, 3, 2, 4)
        return cut.reshape(count, frames // length, joints, length * coordinates)

    def _predict(self, x: Tensor, keep: Tensor) -> Tensor:
        encoder, decoder, width = self.model.encoder, self.model.decoder, self.recipe.model.width
        embedded = plain_linear(encoder.joints_embed.proj, self._segments(x)) + encoder.temp_embed + encoder.pos_embed
        tokens = embedded.flatten(1, 2).gather(1, keep[:, :, None].repeat(1, 1, width))
        for block in encoder.blocks:
            tokens = plain_block(block, tokens)
        features = plain_linear(decoder.embed, encoder.norm(tokens))
        hidden = decoder.mask_token.repeat(len(x), self.recipe.model.tokens, 1)
        tokens = hidden.scatter(1, keep[:, :, None].repeat(1, 1, features.shape[-1]), features)
        tokens = tokens + (decoder.temp_embed + decoder.pos_embed).flatten(1, 2)
        for block in decoder.blocks:
            tokens = plain_block(block, tokens)
        return plain_linear(decoder.pred, decoder.norm(tokens))


def plain_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)


def plain_block(block: nn.Module, x: Tensor) -> Tensor:
    """Return what a transformer block gives (eq. 8), with the attention weights as a matrix."""
    x = x + plain_attention(block.attn, block.norm1(x))
    return x + plain_linear(block.mlp.fc2, F.gelu(plain_linear(block.mlp.fc1, block.norm2(x))))


def plain_attention(attention: nn.Module, x: Tensor) -> Tensor:
    """Return multi-head self-attention (B, L, D), through (B, heads, L, L) weights."""
    count, length, width = x.shape
    heads = plain_linear(attention.qkv, x).reshape(count, length, 3, attention.heads, width // attention.heads)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) * (width // attention.heads) ** -0.5).softmax(dim=-1)
    return plain_linear(attention.proj, (weights @ value).transpose(1, 2).reshape(count, length, width))
