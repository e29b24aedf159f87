"""The evaluation protocols by name."""

from pathlib import Path

from mamp_schemas.errors import RecipeError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import FinetuneRecipe, LinearRecipe
from mamp_schemas.models.results import EvaluationResult
from mamp_trainer.protocols import finetune, linear
from mamp_trainer.protocols.classification import train_classifier
from mamp_trainer.protocols.classifier import ClassifierRecipe
from mamp_trainer.training.runtime import RunContext


def run_protocol(
    recipe: ClassifierRecipe, store_path: StoragePath, encoder_from: Path | None, context: RunContext
) -> EvaluationResult:
    """Evaluate an encoder by a recipe's protocol; arguments and errors are those of `train_classifier`."""
    if isinstance(recipe, LinearRecipe):
        return train_classifier(recipe, store_path, encoder_from, linear.LINEAR, context)
    if isinstance(recipe, FinetuneRecipe):
        return train_classifier(recipe, store_path, encoder_from, finetune.FINETUNE, context)
    raise RecipeError(f"the protocol '{recipe.kind}' cannot be trained", remedy="Choose another one.")
