"""Linear evaluation, one linear layer on the mean features of a fixed encoder."""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import LinearRecipe
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.progress import Progress
from mamp_trainer.data.collate import Batch
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.heads import Classifier
from mamp_trainer.protocols.classification import ClassifierMethod, train_classifier
from mamp_trainer.training.optim import make_optimiser
from mamp_trainer.training.runtime import RunContext
from mamp_trainer.training.trainer import LossFn


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
    """Return the optimiser of the head: the encoder is frozen."""
    return make_optimiser(model, recipe.optimiser)


LINEAR = ClassifierMethod(linear_loss, linear_optimiser)
