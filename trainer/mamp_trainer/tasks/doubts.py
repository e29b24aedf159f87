"""Owns what is said of the encoder that an evaluation begins with, and why its accuracy may not be comparable."""

from collections.abc import Iterator
from pathlib import Path

from mamp_schemas.errors import RecipeError
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe
from mamp_trainer.classifiers import ClassifierRecipe
from mamp_trainer.weights import EncoderTraining, read_training


def report_encoder(encoder_from: Path | None, recipe: ClassifierRecipe, progress: Progress) -> None:
    """Say that no encoder is named, or that what it was pre-trained on is not what the recipe is about.

    Raises:
        RecipeError: transfer without an encoder.
    """
    wanted = recipe.pretrained_on if isinstance(recipe, FinetuneRecipe) else None
    if encoder_from is None:
        if wanted is not None:
            raise RecipeError(
                f"recipe '{recipe.name}' transfers an encoder of {wanted.dataset} {wanted.protocol}: none is named",
                remedy="Name its pre-training run with --from.",
            )
        stays = "it stays untrained" if isinstance(recipe, LinearRecipe) else "training begins from scratch"
        progress.message(f"no encoder is named: {stays}, with initial weights of seed {recipe.seed}")
        return
    for warning in encoder_warnings(read_training(encoder_from), recipe):
        progress.message(f"warning: {warning}")


def encoder_warnings(trained: EncoderTraining | None, recipe: ClassifierRecipe) -> Iterator[str]:
    """Yield why the accuracy of an encoder may not be what the recipe is about."""
    if trained is None:
        return
    split = (trained.dataset, trained.protocol)
    wanted = recipe.pretrained_on if isinstance(recipe, FinetuneRecipe) else None
    if trained.kind != "pretrain":
        yield (
            f"the encoder is that of a run of train {trained.kind}, not of a pre-training: it may have learnt from "
            "labels already, and then the accuracy is not comparable with published ones"
        )
    if wanted is not None and split != (wanted.dataset, wanted.protocol):
        yield (
            f"the encoder was pre-trained on {' '.join(split)}; the recipe is about one of "
            f"{wanted.dataset} {wanted.protocol}"
        )
    if split[0] == recipe.dataset and split[1] != recipe.protocol:
        yield (
            f"the encoder was pre-trained on {' '.join(split)}, whose training clips include test clips "
            f"of {recipe.protocol}: the accuracy is not comparable with published ones"
        )
