"""Owns fine-tuning: encoder and head trained together, on all labels, on some, or from another dataset's encoder."""

from pathlib import Path

from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import FinetuneRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.finetuning import make_layered_optimiser, smoothed_loss
from mamp_trainer.ranks.group import ALONE, Ranks
from mamp_trainer.tasks.classification import Method, Sitting, train_classifier

METHOD = Method(smoothed_loss, make_layered_optimiser)


def finetune(
    recipe: FinetuneRecipe,
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
    """Fine-tune an encoder, or train from scratch; arguments and errors are those of `train_classifier`.

    Semi-supervised evaluation trains on the recipe's draw of the training clips, transfer takes an encoder that
    another dataset pre-trained.
    """
    sitting = Sitting(run, resume, device, progress, ranks, profile)
    return train_classifier(recipe, store_path, encoder_from, METHOD, sitting)
