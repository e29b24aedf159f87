"""Making the networks of evaluations: new classifiers, and trained classifiers and encoders from checkpoints."""

import shlex
from pathlib import Path

import torch

from mamp_schemas.builtin import PROBE_PROTOCOL
from mamp_schemas.errors import CheckpointError
from mamp_schemas.models.recipe import EvaluationRecipe, PretrainRecipe, Recipe
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.checkpoints.load import fit_temporal_embedding, load_encoder, load_exact, resolve_checkpoint
from mamp_trainer.checkpoints.provenance import read_training_recipe
from mamp_trainer.checkpoints.released import describe_settings, load_released
from mamp_trainer.models.clip_encoder import Classifier, FeatureExtractor
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.recipes import probe_options
from mamp_trainer.training.runtime import require_network_memory, seeded


def make_classifier(recipe: EvaluationRecipe, classes: int, encoder_from: Path | None) -> Classifier:
    """Return a classifier to be trained by a recipe's protocol; without an encoder it has initial weights.

    The seed gives the same head whether or not an encoder is named. A frozen encoder needs no gradients.

    Args:
        recipe: the protocol, and the shapes of encoder and head.
        classes: K.
        encoder_from: a run, a checkpoint or a released `.pth` file; None for initial weights.

    Raises:
        CheckpointError: the named encoder cannot be read or has another shape.
        TrainingError: no memory of this machine could hold it.
    """
    require_network_memory(recipe.model, torch.device("cpu"), trained=False)
    with seeded(recipe.seed):
        encoder = Encoder(recipe.model)
        model = Classifier(encoder, PROTOCOLS.get(recipe.kind).head(recipe, classes), classes, recipe.precision)
    if encoder_from is not None:
        model.encoder.load_state_dict(load_encoder(encoder_from, recipe.model))
    if recipe.frozen_encoder:
        model.encoder.requires_grad_(False)
    return model


def trained_recipe(source: Path, name: str | None = None, store: str | None = None) -> EvaluationRecipe:
    """Return the recipe that a classifier was trained with.

    Args:
        source: the folder of an evaluation's run or of one of its checkpoints, or a released `.pth` file.
        name: the recipe's name or YAML file, for a released file, which does not hold it.
        store: the store that the user named, for the command that an error suggests.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or it is a pre-training's.
        UsageError: a released file and no recipe, or a run and a recipe.
    """
    recipe = read_training_recipe(source, name)
    if not isinstance(recipe, EvaluationRecipe):
        raise CheckpointError(
            f"{source}: a pre-training, which has no classifier",
            remedy=f"Train one on its encoder: {_train_probe(recipe, source, store)}",
        )
    return recipe


def _train_head(recipe: EvaluationRecipe, source: Path) -> str:
    """Return the command that trains a classifier by a recipe's protocol on an encoder."""
    return shlex.join(["mampctl", "train", recipe.kind, "--recipe", recipe.name, "--from", str(source)])


def _train_probe(pretrained: Recipe, source: Path, store: str | None) -> str:
    """Return the command that trains a linear classifier on a pre-trained encoder."""
    options = probe_options(pretrained) if isinstance(pretrained, PretrainRecipe) else []
    where = ["--store", store] if store else []
    return shlex.join(["mampctl", "train", PROBE_PROTOCOL, *options, "--from", str(source), *where])


def load_classifier(source: Path, recipe: EvaluationRecipe) -> Classifier:
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
    class_tensor = f"head.{PROTOCOLS.get(recipe.kind).class_tensor}"
    if class_tensor not in weights:
        raise CheckpointError(
            f"{source}: it holds no classifier of `train {recipe.kind}`: there is no tensor {class_tensor}",
            remedy=f"If it holds an encoder alone, train one on it: {_train_head(recipe, source)}",
        )
    model = make_classifier(recipe, len(weights[class_tensor]), None)
    load_exact(model, weights, str(source), describe_settings(weights, recipe.model) if source.is_file() else "")
    return model.eval()


def load_feature_extractor(source: Path | None, recipe: Recipe) -> FeatureExtractor:
    """Return the feature extractor of an encoder, on the CPU and in evaluation mode.

    Args:
        source: the folder of a run of any task or of a checkpoint, or a released `.pth` file; None for initial
            weights, those that an untrained encoder has in linear evaluation.
        recipe: gives the shape, and the seed of initial weights.

    Raises:
        CheckpointError: it cannot be read or has another shape.
    """
    require_network_memory(recipe.model, torch.device("cpu"), trained=False)
    with seeded(recipe.seed):
        encoder = Encoder(recipe.model)
    if source is not None:
        encoder.load_state_dict(load_encoder(source, recipe.model))
    return FeatureExtractor(encoder, recipe.precision).eval()
