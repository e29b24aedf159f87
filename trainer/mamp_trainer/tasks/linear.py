"""Owns linear evaluation: a classifier of one linear layer on a fixed encoder's mean features."""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import LinearRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.data.samples import Batch
from mamp_trainer.model.heads import Classifier
from mamp_trainer.optim import make_optimiser
from mamp_trainer.ranks.group import ALONE, Ranks
from mamp_trainer.step import Objective
from mamp_trainer.tasks.classification import Method, Sitting, train_classifier


def linear(
    recipe: LinearRecipe,
    store_path: Place,
    run: Path,
    *,
    encoder_from: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    profile: int = 0,
) -> EvaluationResult:
    """Train a linear classifier on a fixed encoder; arguments and errors are those of `train_classifier`."""
    sitting = Sitting(run, resume, device, progress, ranks, profile)
    return train_classifier(recipe, store_path, encoder_from, METHOD, sitting)


def classification_loss(model: Classifier, _recipe: LinearRecipe) -> Objective:
    """Return the cross-entropy of a batch; the encoder stays in evaluation mode."""

    def loss(batch: Batch, _epoch: int) -> Tensor:
        model.encoder.eval()
        model.head.train()
        return F.cross_entropy(model(batch.x, batch.slots), batch.label)

    return loss


def _optimiser(model: Classifier, recipe: LinearRecipe) -> Optimizer:
    return make_optimiser(model, recipe.optimiser)


METHOD = Method(classification_loss, _optimiser)
