"""Owns measuring what is trained: a classifier on the test side, and features by their nearest neighbours."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mamp_schemas.classes import class_names
from mamp_schemas.measures import ClassAccuracy, ConfusedPair, ClassifierEvaluation, NetworkMeasurement, RetrievalEvaluation
from mamp_schemas.places import StoragePath
from mamp_schemas.progress import Progress, NullProgress
from mamp_schemas.protocols import Split
from mamp_schemas.recipes import Recipe
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.classifiers import ClassifierRecipe, load_classifier
from mamp_trainer.compute import matmul_precision
from mamp_trainer.confusion import class_accuracy, confusion_matrix, most_confused_pairs
from mamp_trainer.features import Features, load_feature_extractor
from mamp_trainer.memory import measure_budget
from mamp_trainer.model.heads import ClipEncoder
from mamp_trainer.neighbours import find_nearest, measure_retrieval, vote
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.runtime import choose_device
from mamp_trainer.scores import TOP1, TOP5, ClipPredictions, accuracy, predict_logits
from mamp_trainer.tasks.source import RunData
from mamp_trainer.weights import weights_digest

CONFUSED_PAIRS = 10
"""Pairs of classes that are named."""


class EvaluationContext(NamedTuple):
    """Where a network is measured.

    Attributes:
        store: a finished store, its split manifest beside it.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        ranks: among whom the clips are divided; every clip counts once.
    """

    store: StoragePath
    device: str = "auto"
    progress: Progress = NullProgress()
    dist_context: DistContext = SINGLE_PROCESS


def evaluate(network: Path, recipe: ClassifierRecipe, context: EvaluationContext) -> tuple[ClassifierEvaluation, ClipPredictions]:
    """Measure a trained classifier on the test side of its recipe's protocol.

    Args:
        network: the folder of an evaluation's run or of a checkpoint, or a released `.pth` file.
        recipe: what it was trained by.
        bench: where.

    Returns:
        What was measured, and what was said of each clip.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    model = load_classifier(network, recipe, context.progress)
    source = open_run_data(recipe, context, ("test",))
    scores = predict_split(model, source, "test", context)
    matrix = confusion_matrix(scores.logits.argmax(dim=1), scores.label, scores.logits.shape[1])
    measured = accuracy(scores.logits, scores.label)
    found = ClassifierEvaluation(
        **measured_network(str(network), model, source).model_dump(),
        clips=len(scores.clip),
        top1=measured[TOP1],
        top5=measured[TOP5],
        classes=tuple(_class_measures(matrix, class_names(recipe.dataset, source.store.metadata.layout))),
        hardest=tuple(ConfusedPair(**pair._asdict()) for pair in most_confused_pairs(matrix, CONFUSED_PAIRS)),
        matrix=tuple(map(tuple, matrix.tolist())),
    )
    return found, scores


def embed_clips(network: Path | None, recipe: Recipe, context: EvaluationContext, splits: Sequence[Split]) -> tuple[Features, dict[str, str]]:
    """Return the features of clips, and what they were made by.

    Args:
        network: the folder of a run of any task or of a checkpoint, a released `.pth` file, or None for initial
            weights.
        recipe: what it was trained by.
        bench: where.
        sides: whose clips, in this order.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    featuriser = load_feature_extractor(network, recipe, context.progress)
    source = open_run_data(recipe, context, splits)
    parts = {side: predict_split(featuriser, source, side, context, labelled=False) for side in splits}
    features = Features(
        clip=[name for part in parts.values() for name in part.clip],
        label=np.concatenate([part.label.numpy() for part in parts.values()]),
        side=[side for side, part in parts.items() for _ in part.clip],
        features=np.concatenate([part.logits.numpy() for part in parts.values()]),
    )
    return features, {name: str(fact) for name, fact in measured_network(network_name(network), featuriser, source).model_dump().items()}


def evaluate_knn(network: Path | None, recipe: Recipe, context: EvaluationContext, ks: Sequence[int]) -> RetrievalEvaluation:
    """Classify and retrieve test clips by the training clips whose features are nearest (cosine similarity).

    Args:
        network: as in `embed`.
        recipe: what it was trained by.
        bench: where.
        ks: how many neighbours vote.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    featuriser = load_feature_extractor(network, recipe, context.progress)
    source = open_run_data(recipe, context, ("train", "test"))
    gallery, queries = (predict_split(featuriser, source, side, context) for side in ("train", "test"))
    if max(ks) > len(gallery.clip):
        context.progress.message(f"warning: k = {max(ks)}, but all {len(gallery.clip)} training clips are fewer")
    classes = source.store.metadata.dataset_spec().classes
    nearest = find_nearest(queries.logits, gallery.logits, max(ks))
    votes = {k: vote(nearest, gallery.label, classes, k).argmax(dim=1) for k in ks}
    retrieval = measure_retrieval(queries.logits, queries.label, gallery.logits, gallery.label)
    return RetrievalEvaluation(
        **measured_network(network_name(network), featuriser, source).model_dump(),
        clips=len(queries.clip),
        gallery=len(gallery.clip),
        knn={k: _percent(found == queries.label) for k, found in votes.items()},
        recall=retrieval.recall,
        mean_average_precision=retrieval.mean_average_precision,
    )


def open_run_data(recipe: Recipe, context: EvaluationContext, splits: Sequence[Split]) -> RunData:
    device = choose_device(context.device, context.dist_context.device_index)
    budget = measure_budget(device, context.dist_context)
    return RunData.open(context.store, recipe, device, budget, context.progress, splits)


def predict_split(model: ClipEncoder, source: RunData, split: Split, context: EvaluationContext, labelled: bool = True) -> ClipPredictions:
    """Run a network over a side's clips; the results lie on the CPU."""
    clips = source.load_labelled(split) if labelled else source.load(split)
    batches = source.test_batches(clips)
    context.progress.start(f"{split} clips", batches.steps, "batches")
    with matmul_precision(source.recipe.precision):
        found = predict_logits(model.to(source.device), batches, lambda: context.progress.advance(1), context.dist_context)
    return ClipPredictions(source.ids[split], clips.table.label, found.cpu())


def measured_network(network: str, model: ClipEncoder, source: RunData) -> NetworkMeasurement:
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


def _percent(right: Tensor) -> float:
    return 100 * float(right.double().mean())
