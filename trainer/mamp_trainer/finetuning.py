"""Owns what fine-tuning trains: encoder and head together, with drops and smoothed labels (section 4.3)."""

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.recipes import FinetuneRecipe
from mamp_trainer.data.samples import Batch
from mamp_trainer.drops import draw_drop_masks
from mamp_trainer.layer_decay import layer_groups
from mamp_trainer.model.heads import Classifier
from mamp_trainer.optim import optimiser_of_groups
from mamp_trainer.step import LossFn


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
        return F.cross_entropy(model(batch.x, drops=drops), batch.label, label_smoothing=recipe.label_smoothing)

    return loss
