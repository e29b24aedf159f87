"""Makes classifiers, an encoder with a head, to be trained or as a run has left it."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.models.recipe import EvaluationRecipe, FinetuneRecipe, LinearRecipe
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.checkpoints.load import fit_temporal_embedding, load_encoder, load_exact, resolve_checkpoint
from mamp_trainer.checkpoints.provenance import read_training_recipe
from mamp_trainer.checkpoints.released import load_released
from mamp_trainer.models.heads import Classifier, FinetuneHead, LinearHead
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.training.runtime import seeded

ClassifierRecipe = EvaluationRecipe
"""What a classifier is trained by."""


def make_classifier(recipe: ClassifierRecipe, classes: int, encoder_from: Path | None) -> Classifier:
    """Return a classifier that is to be trained; without an encoder it begins with initial weights.

    The seed gives the same head whether or not an encoder is named. In linear evaluation the encoder is fixed.

    Raises:
        CheckpointError: the named encoder cannot be read or has another shape.
    """
    spec = recipe.model
    with seeded(recipe.seed):
        encoder = Encoder(spec)
        if not isinstance(recipe, FinetuneRecipe):
            model = Classifier(encoder, LinearHead(spec.width, classes), recipe.precision)
        else:
            head = FinetuneHead(spec.width, spec.joints, classes, recipe.head_width)
            model = Classifier(encoder, head, recipe.precision)
    if encoder_from is not None:
        model.encoder.load_state_dict(load_encoder(encoder_from, spec))
    if isinstance(recipe, LinearRecipe):
        model.encoder.requires_grad_(False)
    return model


def trained_recipe(source: Path, name: str | None = None) -> ClassifierRecipe:
    """Return the recipe that a classifier was trained by.

    Args:
        source: the folder of an evaluation's run or of one of its checkpoints, or a released `.pth` file.
        name: of a released file's recipe, which does not stand in it.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or it is of a pre-training.
        UsageError: a released file and no recipe, or a run and a recipe.
    """
    recipe = read_training_recipe(source, name)
    if not isinstance(recipe, EvaluationRecipe):
        raise CheckpointError(
            f"{source}: a pre-training, which has no classifier",
            remedy=f"Train one on its encoder: mampctl train linear --from {source}",
        )
    return recipe


def load_classifier(source: Path, recipe: ClassifierRecipe) -> Classifier:
    """Return a trained classifier, on the CPU and set to evaluation.

    Args:
        source: the folder of an evaluation's run (its latest checkpoint), of one of its checkpoints, or a released
            `.pth` file of a fine-tuned or linear classifier.
        recipe: says the shape; `trained_recipe` has it of what was trained here.

    Raises:
        CheckpointError: it cannot be read, has no classifier, or one of another shape.
    """
    if source.is_file():
        weights = fit_temporal_embedding(load_released(source), recipe.model, source)
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("decoder.")}
    else:
        weights = read_checkpoint(resolve_checkpoint(source)).weights
    model = make_classifier(recipe, _num_classes(weights, source), None)
    load_exact(model, weights, str(source))
    return model.eval()


def _num_classes(weights: Mapping[str, Tensor], source: Path) -> int:
    """Return for how many classes the last layer of the head is."""
    for name in ("head.fc.weight", "head.fc2.weight"):
        if name in weights and weights[name].dim() == 2:
            return len(weights[name])
    raise CheckpointError(
        f"{source}: it holds no classifier, only an encoder",
        remedy=f"Train one on it: mampctl train linear --from {source}",
    )
