"""Classification on top of an encoder, with the linear head, the fine-tuning head, and the whole classifier."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamp_schemas.models.recipe import Precision
from mamp_trainer.data.body_dedup import UniqueBodies
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.models.precision import autocast
from mamp_trainer.models.transformer import xavier_linear


class DropMasks(NamedTuple):
    """What is left out of the samples of a batch, as factors: 0 where left out, else so that the mean stays.

    Attributes:
        drop_path: (B, depth, 2), of the two branches, attention and MLP, of every block for every sequence.
        dropout: (N, M, Te, V, D), of what the head is given.
    """

    drop_path: Tensor
    dropout: Tensor


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

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.fc.out_features

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

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.fc2.out_features

    def forward(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Classify clips.

        Args:
            features: (N, M, Te, V, D).
            dropout: of the same shape, of each feature (dropout); 1 by default.

        Returns:
            Logits (N, classes).
        """
        dropped = features if dropout is None else features * dropout
        pooled = dropped.mean(dim=2).flatten(2).mean(dim=1)
        logits: Tensor = self.fc2(F.relu(self.bn(self.fc1(pooled))))
        return logits


class ClipEncoder(nn.Module):
    """An encoder of whole clips: each body a sequence.

    Args:
        encoder: sequences to features.
        precision: what it computes in.
    """

    def __init__(self, encoder: Encoder, precision: Precision = "float32") -> None:
        super().__init__()
        self.encoder = encoder
        self.precision: Precision = precision

    def encode(
        self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None, drop_path: Tensor | None = None
    ) -> Tensor:
        """Return features (N, M, Te, V, D) of clips.

        Args:
            x_NMTVC: (N, M, T, V, C), metres.
            unique_bodies: which body slots are alike: each body is then encoded once, and an empty one once for all
            clips.
            drop_path: (N·M, depth, 2), factors of the blocks' branches, no slot's like another's.
        """
        spec = self.encoder.spec
        x_BTVC = x_NMTVC.flatten(0, 1)
        with autocast(self.precision, x_NMTVC.device):
            if unique_bodies is None or drop_path is not None:
                features = self.encoder(x_BTVC, drop_path=drop_path)
            else:
                features = self._encode_unique(x_BTVC, unique_bodies)
        found: Tensor = features.view(*x_NMTVC.shape[:2], spec.segments, spec.joints, spec.width)
        return found

    def _encode_unique(self, x_BTVC: Tensor, unique_bodies: UniqueBodies) -> Tensor:
        different = x_BTVC.index_select(0, unique_bodies.bodies)
        if len(different) < len(x_BTVC):
            different = torch.cat((different, torch.zeros_like(x_BTVC[:1])))
        features: Tensor = self.encoder(different)
        return features.index_select(0, unique_bodies.body_of_slot.flatten())


class FeatureExtractor(ClipEncoder):
    """An encoder of clips without a head: their features, the mean over bodies, segments and joints."""

    def forward(self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None) -> Tensor:
        """Return (N, D) of clips (N, M, T, V, C); `unique_bodies` as in `encode`."""
        return self.encode(x_NMTVC, unique_bodies).mean(dim=(1, 2, 3))


class Classifier(ClipEncoder):
    """An encoder with a head: clips to logits.

    Args:
        encoder: clips to features.
        head: features to logits, in float32.
        precision: what the encoder computes in.
    """

    def __init__(self, encoder: Encoder, head: LinearHead | FinetuneHead, precision: Precision = "float32") -> None:
        super().__init__(encoder, precision)
        self.head = head

    def forward(
        self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None, drop_masks: DropMasks | None = None
    ) -> Tensor:
        """Return logits (N, classes) of clips.

        Args:
            x_NMTVC: (N, M, T, V, C), metres.
            unique_bodies: as in `encode`.
            drop_masks: what is left out of each slot at random, in fine-tuning.
        """
        if drop_masks is None:
            logits: Tensor = self.head(self.encode(x_NMTVC, unique_bodies))
        else:
            logits = self.head(self.encode(x_NMTVC, drop_path=drop_masks.drop_path), drop_masks.dropout)
        return logits
