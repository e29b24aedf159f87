"""Owns the encoder: joint embedding, positions, blocks and the final norm (eq. 7–8)."""

from torch import Tensor, nn

from mamp_schemas.recipe_specs import ModelSpec
from mamp_trainer.model.blocks import Blocks
from mamp_trainer.model.embed import JointEmbedding, learnable, to_tokens
from mamp_trainer.model.targets import motion


class Encoder(nn.Module):
    """A transformer over the tokens of a sequence; parameters bear the names of the released checkpoints."""

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
            x_BTVC: (B, T, V, C), metres; with `spec.input` motion, their differences are what is encoded.
            keep: (B, K) indices of the tokens to encode; all of them by default.
            paths: (B, depth, 2), factors of the blocks' branches; 1 by default.

        Returns:
            (B, K, D) in the order of `keep`, or (B, L, D) in the order (segment, joint).
        """
        seen = motion(x_BTVC, 1) if self.spec.input == "motion" else x_BTVC
        tokens = to_tokens(seen, self.spec.segment)
        positions = (self.temp_embed + self.pos_embed).flatten(0, 2)
        if keep is not None:
            tokens, positions = tokens.take_along_dim(keep[:, :, None], dim=1), positions[keep]
        features: Tensor = self.norm(self.blocks(self.joints_embed(tokens) + positions, drop_path))
        return features
