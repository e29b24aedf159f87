"""Evaluates a trained classifier on the test split, and runs networks over a split for the other protocols."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mamp_schemas.io.run_files import TOP1, TOP5, UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.protocol import Split
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.results import ClassAccuracy, ClassifierEvaluation, ConfusedPair, NetworkMeasurement
from mamp_schemas.progress import NullProgress, Progress
from mamp_trainer.checkpoints.load import weights_digest
from mamp_trainer.data.dataset import RunData
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.heads import ClipEncoder
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.classifier import ClassifierRecipe, load_classifier
from mamp_trainer.protocols.metrics import accuracy, class_accuracy, confusion_matrix, most_confused_pairs
from mamp_trainer.protocols.predictions import ClipPredictions, predict_logits
from mamp_trainer.training.memory import measure_budget
from mamp_trainer.training.runtime import choose_device

CONFUSED_PAIRS = 10
"""Pairs of classes that are named."""


class EvaluationContext(NamedTuple):
    """Where a network is measured.

    Attributes:
        store: a finished store, its split manifest beside it.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        dist_context: among whom the clips are divided; every clip counts once.
    """

    store: StoragePath
    device: str = "auto"
    progress: Progress = NullProgress()
    dist_context: DistContext = SINGLE_PROCESS


def evaluate(
    network: Path, recipe: ClassifierRecipe, context: EvaluationContext
) -> tuple[ClassifierEvaluation, ClipPredictions]:
    """Measure a trained classifier on the test side of its recipe's protocol.

    Args:
        network: the folder of an evaluation's run or of a checkpoint, or a released `.pth` file.
        recipe: what it was trained by.
        context: where.

    Returns:
        What was measured, and what was said of each clip.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    model = load_classifier(network, recipe)
    source = open_run_data(recipe, context, ("test",))
    scores = predict_split(model, source, "test", context)
    matrix = confusion_matrix(scores.logits.argmax(dim=1), scores.label, scores.logits.shape[1])
    measured = accuracy(scores.logits, scores.label)
    found = ClassifierEvaluation(
        **measured_network(str(network), model, source).model_dump(),
        clips=len(scores.clip),
        top1=measured[TOP1],
        top5=measured[TOP5],
        classes=tuple(_class_measures(matrix, source.store.metadata.dataset_spec().class_names)),
        hardest=tuple(ConfusedPair(**pair._asdict()) for pair in most_confused_pairs(matrix, CONFUSED_PAIRS)),
        matrix=tuple(map(tuple, matrix.tolist())),
    )
    return found, scores


def open_run_data(recipe: Recipe, context: EvaluationContext, splits: Sequence[Split]) -> RunData:
    """Open the store of a recipe on the device that the context names."""
    device = choose_device(context.device, context.dist_context.device_index)
    budget = measure_budget(device, context.dist_context)
    return RunData.open(context.store, recipe, device, budget, splits)


def predict_split(
    model: ClipEncoder, source: RunData, split: Split, context: EvaluationContext, labelled: bool = True
) -> ClipPredictions:
    """Run a network over a side's clips; the results lie on the CPU."""
    clips = source.load_labelled(split) if labelled else source.load(split)
    batches = source.test_batches(clips)
    context.progress.start(f"{split} clips", batches.steps, "batches")
    with matmul_precision(source.recipe.precision):
        found = predict_logits(
            model.to(source.device), batches, lambda: context.progress.advance(1), context.dist_context
        )
    return ClipPredictions(source.ids[split], clips.table.label, found.cpu())


def measured_network(network: str, model: ClipEncoder, source: RunData) -> NetworkMeasurement:
    """Return which network was measured, and on what."""
    return NetworkMeasurement(
        network=network,
        weights=weights_digest(model.state_dict()),
        recipe=source.recipe.name,
        dataset=source.recipe.dataset,
        protocol=source.recipe.protocol,
        store_hash=source.store.metadata.content_hash,
        manifest_hash=source.manifest.digest(),
        test_crop=source.recipe.sampling.test_crop,
    )


def network_name(network: Path | None) -> str:
    """Return the name of a network in records."""
    return UNTRAINED if network is None else str(network)


def _class_measures(matrix: Tensor, names: Sequence[str]) -> list[ClassAccuracy]:
    clips, right = matrix.sum(dim=1).tolist(), class_accuracy(matrix).tolist()
    wrong, instead = matrix.clone().fill_diagonal_(0).max(dim=1)
    return [
        ClassAccuracy(
            label=label,
            name=name,
            clips=clips[label],
            top1=right[label] if clips[label] else None,
            taken_for=int(instead[label]) if wrong[label] else None,
        )
        for label, name in enumerate(names)
    ]
