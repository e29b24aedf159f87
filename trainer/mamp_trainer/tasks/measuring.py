"""Owns measuring what is trained: a classifier on the test side, and features by their nearest neighbours."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mamp_schemas.classes import class_names
from mamp_schemas.measures import ClassMeasure, Confusion, Evaluation, Measured, Neighbourhood
from mamp_schemas.places import Place
from mamp_schemas.progress import Progress, Silent
from mamp_schemas.protocols import Side
from mamp_schemas.recipes import Recipe
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.classifiers import ClassifierRecipe, load_classifier
from mamp_trainer.compute import matmul_precision
from mamp_trainer.confusion import class_accuracy, confusion_matrix, hardest_pairs
from mamp_trainer.features import Features, load_featuriser
from mamp_trainer.memory import measure_budget
from mamp_trainer.model.heads import ClipEncoder
from mamp_trainer.neighbours import find_nearest, measure_retrieval, vote
from mamp_trainer.ranks.group import ALONE, Ranks
from mamp_trainer.runtime import choose_device
from mamp_trainer.scores import TOP1, TOP5, Scores, accuracy, class_scores
from mamp_trainer.tasks.source import Source
from mamp_trainer.weights import digest

HARDEST = 10
"""Pairs of classes that are named."""


class Bench(NamedTuple):
    """Where a network is measured.

    Attributes:
        store: a finished store, its split manifest beside it.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        ranks: among whom the clips are divided; every clip counts once.
    """

    store: Place
    device: str = "auto"
    progress: Progress = Silent()
    ranks: Ranks = ALONE


def evaluate(network: Path, recipe: ClassifierRecipe, bench: Bench) -> tuple[Evaluation, Scores]:
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
    model = load_classifier(network, recipe, bench.progress)
    source = _open(recipe, bench, ("test",))
    scores = _score(model, source, "test", bench)
    matrix = confusion_matrix(scores.logits.argmax(dim=1), scores.label, scores.logits.shape[1])
    measured = accuracy(scores.logits, scores.label)
    found = Evaluation(
        **_facts(str(network), model, source).model_dump(),
        clips=len(scores.clip),
        top1=measured[TOP1],
        top5=measured[TOP5],
        classes=tuple(_measure_classes(matrix, class_names(recipe.dataset, source.store.metadata.layout))),
        hardest=tuple(Confusion(**pair._asdict()) for pair in hardest_pairs(matrix, HARDEST)),
        matrix=tuple(map(tuple, matrix.tolist())),
    )
    return found, scores


def embed(network: Path | None, recipe: Recipe, bench: Bench, sides: Sequence[Side]) -> tuple[Features, dict[str, str]]:
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
    featuriser = load_featuriser(network, recipe, bench.progress)
    source = _open(recipe, bench, sides)
    parts = {side: _score(featuriser, source, side, bench, labelled=False) for side in sides}
    features = Features(
        clip=[name for part in parts.values() for name in part.clip],
        label=np.concatenate([part.label.numpy() for part in parts.values()]),
        side=[side for side, part in parts.items() for _ in part.clip],
        features=np.concatenate([part.logits.numpy() for part in parts.values()]),
    )
    return features, {name: str(fact) for name, fact in _facts(_name(network), featuriser, source).model_dump().items()}


def find_neighbours(network: Path | None, recipe: Recipe, bench: Bench, ks: Sequence[int]) -> Neighbourhood:
    """Classify and retrieve test clips by the training clips whose features are nearest (cosine similarity).

    Args:
        network: as in `embed`.
        recipe: what it was trained by.
        bench: where.
        ks: how many neighbours vote.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    featuriser = load_featuriser(network, recipe, bench.progress)
    source = _open(recipe, bench, ("train", "test"))
    gallery, queries = (_score(featuriser, source, side, bench) for side in ("train", "test"))
    if max(ks) > len(gallery.clip):
        bench.progress.message(f"warning: k = {max(ks)}, but all {len(gallery.clip)} training clips are fewer")
    classes = source.store.metadata.spec().classes
    nearest = find_nearest(queries.logits, gallery.logits, max(ks))
    votes = {k: vote(nearest, gallery.label, classes, k).argmax(dim=1) for k in ks}
    retrieval = measure_retrieval(queries.logits, queries.label, gallery.logits, gallery.label)
    return Neighbourhood(
        **_facts(_name(network), featuriser, source).model_dump(),
        clips=len(queries.clip),
        gallery=len(gallery.clip),
        knn={k: _share(found == queries.label) for k, found in votes.items()},
        recall=retrieval.recall,
        mean_average_precision=retrieval.mean_average_precision,
    )


def _open(recipe: Recipe, bench: Bench, sides: Sequence[Side]) -> Source:
    device = choose_device(bench.device, bench.ranks.seat)
    budget = measure_budget(device, bench.ranks)
    return Source.open(bench.store, recipe, device, budget, bench.progress, sides)


def _score(model: ClipEncoder, source: Source, side: Side, bench: Bench, labelled: bool = True) -> Scores:
    """Run a network over a side's clips; the results lie on the CPU."""
    clips = source.load_labelled(side) if labelled else source.load(side)
    batches = source.test_batches(clips)
    bench.progress.start(f"{side} clips", batches.steps, "batches")
    with matmul_precision(source.recipe.precision):
        found = class_scores(model.to(source.device), batches, lambda: bench.progress.advance(1), bench.ranks)
    return Scores(source.ids[side], clips.table.label, found.cpu())


def _facts(network: str, model: ClipEncoder, source: Source) -> Measured:
    return Measured(
        network=network,
        weights=digest(model.state_dict()),
        recipe=source.recipe.name,
        dataset=source.recipe.dataset,
        protocol=source.recipe.protocol,
        store_hash=source.store.metadata.content_hash,
        manifest_hash=source.manifest.digest(),
        test_crop=source.recipe.sampling.test_crop,
    )


def _name(network: Path | None) -> str:
    return UNTRAINED if network is None else str(network)


def _measure_classes(matrix: Tensor, names: Sequence[str]) -> list[ClassMeasure]:
    clips, right = matrix.sum(dim=1).tolist(), class_accuracy(matrix).tolist()
    wrong, instead = matrix.clone().fill_diagonal_(0).max(dim=1)
    return [
        ClassMeasure(
            label=label,
            name=name,
            clips=clips[label],
            top1=right[label] if clips[label] else None,
            taken_for=int(instead[label]) if wrong[label] else None,
        )
        for label, name in enumerate(names)
    ]


def _share(right: Tensor) -> float:
    return 100 * float(right.double().mean())
