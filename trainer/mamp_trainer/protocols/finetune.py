"""Fine-tuning (section 4.3): encoder and head trained together, with stochastic depth, dropout and smoothed labels.

What is dropped is a function of seed, epoch and clip: the same on any number of ranks, and after a resume.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import FinetuneRecipe
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.progress import Progress
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import DROP_PATH, DROPOUT, uniform
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.heads import Classifier, DropMasks
from mamp_trainer.protocols.classification import ClassifierMethod, train_classifier
from mamp_trainer.training.optim import layer_groups, optimiser_of_groups
from mamp_trainer.training.runtime import RunContext
from mamp_trainer.training.trainer import LossFn


def draw_drop_masks(recipe: FinetuneRecipe, epoch: int, clip: Tensor, slots: int) -> DropMasks:
    """Draw what is left out.

    Args:
        recipe: says how likely it is.
        epoch: 0-based.
        clip: (N,) int64, global clip indices.
        slots: M.

    Returns:
        Factors on the device of `clip`, float32.
    """
    spec = recipe.model
    u_paths = uniform(recipe.seed, epoch, DROP_PATH, clip, slots * spec.depth * 2)
    u_features = uniform(recipe.seed, epoch, DROPOUT, clip, slots * spec.tokens * spec.width)
    rates = drop_path_rates(spec.depth, recipe.drop_path).to(clip.device)
    return DropMasks(
        drop_path=inverted_dropout_mask(u_paths.view(-1, spec.depth, 2), rates[:, None]),
        dropout=inverted_dropout_mask(
            u_features.view(-1, slots, spec.segments, spec.joints, spec.width), torch.tensor(recipe.dropout)
        ),
    )


def drop_path_rates(depth: int, last: float) -> Tensor:
    """Return how likely each block's branches are left out, (depth,): 0 at the first, `last` at the last."""
    return torch.linspace(0, last, depth)


def inverted_dropout_mask(u: Tensor, rate: Tensor) -> Tensor:
    """Return 0 where u < rate, else 1 / (1 - rate), so that the mean is 1.

    Args:
        u: uniform draws from [0, 1).
        rate: probability of 0, below 1; broadcasts with `u`.
    """
    return (u >= rate).to(u.dtype) / (1 - rate)


def finetune_optimiser(model: Classifier, recipe: FinetuneRecipe) -> Optimizer:
    """Return the recipe's optimiser, with learning rates that fall from layer to layer towards the input."""
    groups = layer_groups(model, recipe.optimiser.weight_decay, recipe.layer_decay)
    return optimiser_of_groups(groups, recipe.optimiser)


def finetune_loss(model: Classifier, recipe: FinetuneRecipe) -> LossFn:
    """Return the cross-entropy of a batch against smoothed labels.

    What is left out of a clip depends on seed, epoch and clip alone.
    """

    def loss(batch: Batch, epoch: int) -> Tensor:
        model.train()
        drops = draw_drop_masks(recipe, epoch, batch.clip, batch.x.shape[1])
        return F.cross_entropy(model(batch.x, drop_masks=drops), batch.label, label_smoothing=recipe.label_smoothing)

    return loss


FINETUNE = ClassifierMethod(finetune_loss, finetune_optimiser)


def finetune(
    recipe: FinetuneRecipe,
    store_path: StoragePath,
    run: Path,
    *,
    encoder_from: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    dist_context: DistContext = SINGLE_PROCESS,
    profile: int = 0,
) -> EvaluationResult:
    """Fine-tune an encoder, or train from scratch; arguments and errors are those of `train_classifier`.

    Semi-supervised evaluation trains on the recipe's draw of the training clips, transfer takes an encoder that
    another dataset pre-trained.
    """
    sitting = RunContext(run, resume, device, progress, dist_context, profile)
    return train_classifier(recipe, store_path, encoder_from, FINETUNE, sitting)
