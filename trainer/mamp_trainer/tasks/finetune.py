"""Owns fine-tuning: encoder and head trained together, on all labels, on some, or from another dataset's encoder."""

from pathlib import Path

from mamp_schemas.places import StoragePath
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import FinetuneRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.finetuning import finetune_optimiser, finetune_loss
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.tasks.classification import ClassifierMethod, RunContext, train_classifier

FINETUNE = ClassifierMethod(finetune_loss, finetune_optimiser)


def finetune(
    recipe: FinetuneRecipe,
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
    """Fine-tune an encoder, or train from scratch; arguments and errors are those of `train_classifier`.

    Semi-supervised evaluation trains on the recipe's draw of the training clips, transfer takes an encoder that
    another dataset pre-trained.
    """
    sitting = RunContext(run, resume, device, progress, dist_context, profile)
    return train_classifier(recipe, store_path, encoder_from, FINETUNE, sitting)
