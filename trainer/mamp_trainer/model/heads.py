"""Owns classification on top of an encoder: the linear head, the fine-tuning head, and the whole."""

import torch.nn.functional as F
from torch import Tensor, nn

from mamp_trainer.drops import Drops
from mamp_trainer.model.blocks import xavier_linear
from mamp_trainer.model.encoder import Encoder


class LinearHead(nn.Module):
    """Linear evaluation: mean over bodies, segments and joints, standardised, one linear layer.

    Args:
        width: D.
        classes: number of classes.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(width, affine=False, eps=1e-6)
        self.fc = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, M, Te, V, D)."""
        logits: Tensor = self.fc(self.bn(features.mean(dim=(1, 2, 3))))
        return logits


class FinetuneHead(nn.Module):
    """Fine-tuning: mean over segments, joints side by side, mean over bodies, two linear layers.

    Args:
        width: D.
        joints: V.
        classes: number of classes.
        hidden: width between the layers.
    """

    def __init__(self, width: int, joints: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = xavier_linear(joints * width, hidden)
        self.bn = nn.BatchNorm1d(hidden)
        self.fc2 = xavier_linear(hidden, classes)

    def forward(self, features: Tensor, factors: Tensor | None = None) -> Tensor:
        """Classify clips.

        Args:
            features: (N, M, Te, V, D).
            factors: of the same shape, of each feature (dropout); 1 by default.

        Returns:
            Logits (N, classes).
        """
        dropped = features if factors is None else features * factors
        pooled = dropped.mean(dim=2).flatten(2).mean(dim=1)
        logits: Tensor = self.fc2(F.relu(self.bn(self.fc1(pooled))))
        return logits


class Classifier(nn.Module):
    """An encoder with a head: clips to logits."""

    def __init__(self, encoder: Encoder, head: LinearHead | FinetuneHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x_NMTVC: Tensor, drops: Drops | None = None) -> Tensor:
        """Return logits (N, classes) of clips.

        Args:
            x_NMTVC: (N, M, T, V, C), metres.
            drops: what is left out at random, in fine-tuning.
        """
        spec = self.encoder.spec
        features = self.encoder(x_NMTVC.flatten(0, 1), paths=drops.paths if drops else None)
        features = features.view(*x_NMTVC.shape[:2], spec.segments, spec.joints, spec.width)
        logits: Tensor = self.head(features, drops.features) if drops else self.head(features)
        return logits
