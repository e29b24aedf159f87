"""The encoder applied to whole clips: with a head (a classifier), or without (a feature extractor)."""

import torch
from torch import Tensor, nn

from mamp_schemas.models.recipe import Precision
from mamp_trainer.data.collate import UniqueBodies
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.models.precision import autocast


class ClipEncoder(nn.Module):
    """An encoder of clips: each body slot is a sequence of its own.

    Args:
        encoder: encodes sequences.
        precision: the encoder's arithmetic.
    """

    def __init__(self, encoder: Encoder, precision: Precision = "float32") -> None:
        super().__init__()
        self.encoder = encoder
        self.precision: Precision = precision

    def encode(
        self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None, drop_path: Tensor | None = None
    ) -> Tensor:
        """Return the features (N, M, Te, V, D) of clips.

        Args:
            x_NMTVC: (N, M, T, V, C), metres.
            unique_bodies: which body slots hold the same. Each body is then encoded once, and the empty body once for
                the batch. Ignored with `drop_path`, which makes all slots differ.
            drop_path: (N·M, depth, 2), stochastic depth's factors of the blocks' branches.
        """
        spec = self.encoder.spec
        x_BTVC = x_NMTVC.flatten(0, 1)
        with autocast(self.precision, x_NMTVC.device):
            if unique_bodies is None or drop_path is not None:
                features = self.encoder(x_BTVC, drop_path=drop_path)
            else:
                features = self._encode_unique(x_BTVC, unique_bodies)
        features_NMTVD: Tensor = features.view(*x_NMTVC.shape[:2], spec.segments, spec.joints, spec.width)
        return features_NMTVD

    def _encode_unique(self, x_BTVC: Tensor, unique_bodies: UniqueBodies) -> Tensor:
        different = x_BTVC.index_select(0, unique_bodies.bodies)
        if len(different) < len(x_BTVC):
            different = torch.cat((different, torch.zeros_like(x_BTVC[:1])))
        features: Tensor = self.encoder(different)
        return features.index_select(0, unique_bodies.body_of_slot.flatten())


class FeatureExtractor(ClipEncoder):
    """The features of clips: the encoder's output, averaged over bodies, segments and joints."""

    def forward(self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None) -> Tensor:
        """Return the features (N, D) of clips (N, M, T, V, C); `unique_bodies` as in `encode`."""
        return self.encode(x_NMTVC, unique_bodies).mean(dim=(1, 2, 3))


class Classifier(ClipEncoder):
    """An encoder with a classification head.

    Args:
        encoder: encodes sequences.
        head: from features (N, M, Te, V, D) to logits (N, K), in float32.
        classes: K.
        precision: the encoder's arithmetic.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, classes: int, precision: Precision = "float32") -> None:
        super().__init__(encoder, precision)
        self.head = head
        self.classes = classes

    def forward(self, x_NMTVC: Tensor, unique_bodies: UniqueBodies | None = None) -> Tensor:
        """Return the logits (N, K) of clips (N, M, T, V, C); `unique_bodies` as in `encode`."""
        logits: Tensor = self.head(self.encode(x_NMTVC, unique_bodies))
        return logits
