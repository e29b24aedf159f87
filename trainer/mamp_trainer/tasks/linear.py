"""Owns linear evaluation: a classifier of one linear layer on a fixed encoder's mean features."""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.places import StoragePath
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import LinearRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.data.samples import Batch
from mamp_trainer.model.heads import Classifier
from mamp_trainer.optim import make_optimiser
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.step import LossFn
from mamp_trainer.tasks.classification import ClassifierMethod, RunContext, train_classifier


def linear(
    recipe: LinearRecipe,
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
    """Train a linear classifier on a fixed encoder; arguments and errors are those of `train_classifier`."""
    sitting = RunContext(run, resume, device, progress, dist_context, profile)
    return train_classifier(recipe, store_path, encoder_from, LINEAR, sitting)


def linear_loss(model: Classifier, _recipe: LinearRecipe) -> LossFn:
    """Return the cross-entropy of a batch; the encoder stays in evaluation mode."""

    def loss(batch: Batch, _epoch: int) -> Tensor:
        model.encoder.eval()
        model.head.train()
        return F.cross_entropy(model(batch.x, batch.unique_bodies), batch.label)

    return loss


def linear_optimiser(model: Classifier, recipe: LinearRecipe) -> Optimizer:
    return make_optimiser(model, recipe.optimiser)


LINEAR = ClassifierMethod(linear_loss, linear_optimiser)
