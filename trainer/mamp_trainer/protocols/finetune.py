"""Fine-tuning (section 4.3): encoder and head trained together, with stochastic depth, dropout and smoothed labels.

What is dropped of a clip is a function of seed, epoch and clip: the same on any number of ranks, and after a resume.
"""

from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamp_schemas.models.protocols import FinetuneRecipe
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws, RngStream
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.models.transformer import xavier_linear
from mamp_trainer.protocols.base import TrainedProtocol
from mamp_trainer.training.hooks import Loss
from mamp_trainer.training.optim import layer_groups

R = TypeVar("R", bound=FinetuneRecipe)


class FinetuneHead(nn.Module):
    """Features averaged over segments, joints concatenated, averaged over bodies, then two linear layers.

    Args:
        width: D.
        joints: V.
        classes: K.
        hidden: width between the two layers.
    """

    def __init__(self, width: int, joints: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = xavier_linear(joints * width, hidden)
        self.bn = nn.BatchNorm1d(hidden)
        self.fc2 = xavier_linear(hidden, classes)

    def forward(self, features_NMTVD: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Return the logits (N, K) of clips.

        Args:
            features_NMTVD: (N, M, Te, V, D).
            dropout: factor of each feature, of the same shape; 1 by default.
        """
        dropped = features_NMTVD if dropout is None else features_NMTVD * dropout
        pooled = dropped.mean(dim=2).flatten(2).mean(dim=1)
        logits: Tensor = self.fc2(F.relu(self.bn(self.fc1(pooled))))
        return logits


class DropMasks(NamedTuple):
    """What is dropped of the clips of a batch, as factors: 0 where dropped, elsewhere so that the mean stays.

    Attributes:
        drop_path: (N·M, depth, 2), of the attention and the MLP branch of every block, for every body slot.
        dropout: (N, M, Te, V, D), of the features that the head gets.
    """

    drop_path: Tensor
    dropout: Tensor


def draw_drop_masks(recipe: FinetuneRecipe, draws: Draws, slots: int) -> DropMasks:
    """Draw what is dropped of clips.

    Args:
        recipe: gives the rates.
        draws: the random numbers of the N clips.
        slots: M.

    Returns:
        Factors on the device of `draws.clip`, float32.
    """
    spec = recipe.model
    u_paths = draws.uniform(RngStream.DROP_PATH, slots * spec.depth * 2)
    u_features = draws.uniform(RngStream.DROPOUT, slots * spec.tokens * spec.width)
    rates = drop_path_rates(spec.depth, recipe.drop_path).to(draws.clip.device)
    return DropMasks(
        drop_path=inverted_dropout_mask(u_paths.view(-1, spec.depth, 2), rates[:, None]),
        dropout=inverted_dropout_mask(
            u_features.view(-1, slots, spec.segments, spec.joints, spec.width), torch.tensor(recipe.dropout)
        ),
    )


def drop_path_rates(depth: int, last: float) -> Tensor:
    """Return each block's probability of dropping a branch, (depth,): 0 at the first block, `last` at the last."""
    return torch.linspace(0, last, depth)


def inverted_dropout_mask(u: Tensor, rate: Tensor) -> Tensor:
    """Return 0 where u < rate, else 1 / (1 - rate), so that the mean is 1.

    Args:
        u: uniform draws from [0, 1).
        rate: probability of 0, below 1; broadcasts with `u`.
    """
    return (u >= rate).to(u.dtype) / (1 - rate)


class FinetuneProtocol(TrainedProtocol[R]):
    """Cross-entropy against smoothed labels; learning rates fall from layer to layer towards the input."""

    class_tensor = "fc2.weight"

    def head(self, recipe: R, classes: int) -> FinetuneHead:
        """Return a new head of two layers."""
        return FinetuneHead(recipe.model.width, recipe.model.joints, classes, recipe.head_width)

    def loss(self, model: Classifier, batch: Batch, recipe: R, draws: Draws) -> Loss:
        """Return the mean cross-entropy of a batch, of which some is dropped, against smoothed labels."""
        masks = draw_drop_masks(recipe, draws, batch.x.shape[1])
        logits = model.head(model.encode(batch.x, drop_path=masks.drop_path), masks.dropout)
        return Loss(F.cross_entropy(logits, batch.label, label_smoothing=recipe.label_smoothing))

    def optimiser_groups(self, model: Classifier, recipe: R) -> list[dict[str, Any]]:
        """Return parameter groups by layer, with layer-wise decay of the learning rate."""
        return layer_groups(model, recipe.optimiser.weight_decay, recipe.layer_decay)


class PlainFinetuneProtocol(FinetuneProtocol[FinetuneRecipe]):
    """Fine-tuning on all training clips."""

    options = FinetuneRecipe
    summary = "Train encoder and classifier together, or from scratch."


FINETUNE = PlainFinetuneProtocol()
