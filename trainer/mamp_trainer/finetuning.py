"""Owns what fine-tuning trains: encoder and head together, with drops and smoothed labels (section 4.3)."""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.progress import Progress
from mamp_schemas.recipes import FinetuneRecipe
from mamp_trainer.data.samples import Batch
from mamp_trainer.drops import draw_drops
from mamp_trainer.layer_decay import layer_groups
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.heads import Classifier, FinetuneHead
from mamp_trainer.optim import optimise_groups
from mamp_trainer.runtime import seeded
from mamp_trainer.step import Objective
from mamp_trainer.weights import load_encoder


def make_finetuned(
    recipe: FinetuneRecipe, classes: int, encoder_from: Path | None, progress: Progress | None = None
) -> Classifier:
    """Return what is to be fine-tuned; without an encoder it begins with initial weights, from scratch.

    The seed gives the same head whether or not an encoder is named.

    Raises:
        CheckpointError: the named encoder cannot be read or has another shape.
    """
    spec = recipe.model
    with seeded(recipe.seed):
        model = Classifier(
            Encoder(spec), FinetuneHead(spec.width, spec.joints, classes, recipe.head_width), recipe.precision
        )
    if encoder_from is not None:
        model.encoder.load_state_dict(load_encoder(encoder_from, spec, progress))
    return model


def make_layered_optimiser(model: Classifier, recipe: FinetuneRecipe) -> Optimizer:
    """Return the recipe's optimiser, with learning rates that fall from layer to layer towards the input."""
    groups = layer_groups(model, recipe.optimiser.weight_decay, recipe.layer_decay)
    return optimise_groups(groups, recipe.optimiser)


def smoothed_loss(model: Classifier, recipe: FinetuneRecipe) -> Objective:
    """Return the cross-entropy of a batch against smoothed labels.

    What is left out of a clip depends on seed, epoch and clip alone.
    """

    def loss(batch: Batch, epoch: int) -> Tensor:
        model.train()
        drops = draw_drops(recipe, epoch, batch.clip, batch.x.shape[1])
        return F.cross_entropy(model(batch.x, drops=drops), batch.label, label_smoothing=recipe.label_smoothing)

    return loss
