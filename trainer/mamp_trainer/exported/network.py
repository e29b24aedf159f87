"""Owns the network that is exported: samples in, logits and features out, in float32."""

from pathlib import Path

import torch
from torch import Tensor, nn

from mamp_schemas.progress import Progress
from mamp_schemas.recipes import PretrainRecipe, Recipe
from mamp_trainer.classifiers import load_classifier
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.heads import FinetuneHead, LinearHead
from mamp_trainer.weights import load_encoder

INPUT, LOGITS, FEATURES = "clips", "logits", "features"


class ExportedNetwork(nn.Module):
    """An encoder, with the head that was trained on it or with none.

    Nothing depends on which body slots are alike, as it does in training for speed: a graph has no such choices.

    Args:
        encoder: clips to tokens.
        head: tokens to logits; None for the encoder alone.
    """

    def __init__(self, encoder: Encoder, head: LinearHead | FinetuneHead | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    @property
    def outputs(self) -> tuple[str, ...]:
        """What `forward` returns, by name."""
        return (FEATURES,) if self.head is None else (LOGITS, FEATURES)

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return logits (N, classes), where there is a head, and features (N, D): means over bodies, segments, joints.

        Args:
            clips: (N, M, T, V, C) float32, metres.
        """
        spec, (_, bodies, *_) = self.encoder.spec, clips.shape
        tokens = torch.unflatten(self.encoder(clips.flatten(0, 1)), 0, (-1, bodies))
        tokens = torch.unflatten(tokens, 2, (spec.segments, spec.joints))
        features = tokens.mean(dim=(1, 2, 3))
        return (features,) if self.head is None else (self.head(tokens), features)


def load_exported_network(source: Path, recipe: Recipe, progress: Progress | None = None) -> ExportedNetwork:
    """Load what a run, a checkpoint or a released file holds: a classifier, or of a pre-training its encoder.

    Args:
        source: the folder of a run or of a checkpoint, or a released `.pth` file.
        recipe: what it was trained by.
        progress: is warned where a released file is of another number of segments.

    Raises:
        CheckpointError: it cannot be read or has another shape.
    """
    if isinstance(recipe, PretrainRecipe):
        encoder = Encoder(recipe.model)
        encoder.load_state_dict(load_encoder(source, recipe.model, progress))
        return ExportedNetwork(encoder, None).eval()
    model = load_classifier(source, recipe, progress)
    return ExportedNetwork(model.encoder, model.head).eval()
