"""Owns which method a recipe's protocol has: linear evaluation, or fine-tuning in one of its three uses."""

from pathlib import Path

from mamp_schemas.places import StoragePath
from mamp_schemas.recipes import LinearRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.classifiers import ClassifierRecipe
from mamp_trainer.tasks import finetune, linear
from mamp_trainer.tasks.classification import RunContext, train_classifier


def run_protocol(
    recipe: ClassifierRecipe, store_path: StoragePath, encoder_from: Path | None, context: RunContext
) -> EvaluationResult:
    """Evaluate an encoder by a recipe's protocol; arguments and errors are those of `train_classifier`."""
    if isinstance(recipe, LinearRecipe):
        return train_classifier(recipe, store_path, encoder_from, linear.LINEAR, context)
    return train_classifier(recipe, store_path, encoder_from, finetune.FINETUNE, context)
