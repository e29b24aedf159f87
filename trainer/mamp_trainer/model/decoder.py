"""Owns the decoder: from the features of the kept tokens to a prediction for every token (eq. 9–10)."""

from torch import Tensor, nn

from mamp_schemas.recipe_specs import ModelSpec
from mamp_trainer.model.blocks import Blocks
from mamp_trainer.model.embed import COORDINATES, learnable
from mamp_trainer.model.projection import xavier_linear


class Decoder(nn.Module):
    """A transformer over all tokens, a shared mask token in the place of the hidden ones."""

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
        # Under autocast the linear's output has another dtype than the parameter; scatter needs one.
        hidden = self.mask_token.to(kept.dtype).expand(len(kept), self.spec.tokens, -1)
        tokens = hidden.scatter(1, keep[:, :, None].expand_as(kept), kept)
        positions = (self.temp_embed + self.pos_embed).flatten(1, 2)
        predicted: Tensor = self.pred(self.norm(self.blocks(tokens + positions)))
        return predicted
