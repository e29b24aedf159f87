"""A protocol: the encoder is fixed, and a learnt query decides how much each token counts for the class."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mamp_schemas.models.recipe import EvaluationRecipe
from mamp_trainer.protocols.base import TrainedProtocol

RECIPE = """
name: stick9-xsub
summary: stick figures, attentive pooling of a fixed encoder
dataset: stick9
protocol: xsub
model: {joints: 9, frames: 8, segment: 4, width: 16, depth: 1, heads: 2}
optimiser: {kind: sgd}
schedule: {epochs: 2, lr: 0.1}
batch_size: 4
sampling: {min_frames: 8}
"""


class AttentiveRecipe(EvaluationRecipe):
    """Fields of the protocol.

    Attributes:
        temperature: of the softmax over tokens.
    """

    frozen_encoder: ClassVar[bool] = True
    recipes: ClassVar[dict[str, str]] = {"stick9-xsub": RECIPE}

    kind: Literal["attentive"]
    temperature: float = Field(default=1.0, gt=0)


class AttentiveHead(nn.Module):
    """Pools the tokens of a clip by attention, then classifies.

    Args:
        width: D.
        classes: K.
        temperature: of the softmax.
    """

    def __init__(self, width: int, classes: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.query = nn.Parameter(torch.zeros(width))
        self.fc = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, K) of features (N, M, Te, V, D)."""
        tokens = features.flatten(1, 3)
        weights = (tokens @ self.query / self.temperature).softmax(dim=1)
        return self.fc((weights[:, :, None] * tokens).sum(dim=1))


class AttentiveProtocol(TrainedProtocol[AttentiveRecipe]):
    """Attentive pooling of a frozen encoder's tokens."""

    options = AttentiveRecipe
    summary = "Train attentive pooling on a fixed encoder."
    class_tensor = "fc.weight"

    def head(self, recipe: AttentiveRecipe, classes: int) -> nn.Module:
        """Return a new head."""
        return AttentiveHead(recipe.model.width, classes, recipe.temperature)

    def metrics(self, logits: Tensor, label: Tensor) -> dict[str, float]:
        """Return the mean probability of the right class."""
        right = logits.softmax(dim=1).gather(1, label[:, None])
        return {"mean_probability": right.mean().item()}


ATTENTIVE = AttentiveProtocol()
