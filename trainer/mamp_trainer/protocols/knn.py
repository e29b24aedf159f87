"""kNN classification and retrieval by cosine similarity of features, exact.

Q queries, G clips of the gallery, D numbers a feature. Similarities are computed some queries at a time, on the
device the features are on.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.results import RetrievalEvaluation
from mamp_trainer.protocols.embeddings import load_feature_extractor
from mamp_trainer.protocols.evaluate import (
    EvaluationContext,
    measured_network,
    network_name,
    open_run_data,
    predict_split,
)

logger = logging.getLogger(__name__)


CHUNK_SIMILARITIES = 2**26
"""Similarities in memory at a time: 256 MiB."""


class Neighbours(NamedTuple):
    """The nearest of a gallery, nearest first.

    Attributes:
        indices: (Q, k) int64, rows of the gallery.
        similarity: (Q, k) float32, cosines.
    """

    indices: Tensor
    similarity: Tensor


class Retrieval(NamedTuple):
    """How well clips of a query's class are found in a gallery, in percent.

    Attributes:
        recall: by k, the share of queries with a clip of their class among the k nearest.
        mean_average_precision: mean over the queries of the average precision over the whole ranking; 0 for a
            query whose class the gallery does not have.
    """

    recall: dict[int, float]
    mean_average_precision: float


def find_nearest(queries: Tensor, gallery: Tensor, k: int) -> Neighbours:
    """Find the k nearest of a gallery for every query; all of it where it has fewer than k.

    Args:
        queries: (Q, D).
        gallery: (G, D); a feature of zeros is as far from everything as a right angle.
        k: how many.
    """
    count = min(k, len(gallery))
    found = [similarity.topk(count, dim=1) for similarity in _similarities(queries, gallery)]
    if not found:
        return Neighbours(queries.new_empty(0, count, dtype=torch.int64), queries.new_empty(0, count))
    return Neighbours(torch.cat([part.indices for part in found]), torch.cat([part.values for part in found]))


def vote(neighbours: Neighbours, labels: Tensor, classes: int, k: int) -> Tensor:
    """Return how much speaks for each class, (Q, classes) float64: the largest is the kNN prediction.

    Each of the k nearest has one vote; of classes with as many, the one whose neighbours are nearer in sum comes first.

    Args:
        neighbours: at least the k nearest, or the whole gallery.
        labels: (G,) int64, of the gallery.
        classes: how many there are.
        k: how many vote.
    """
    place, similarity = neighbours.indices[:, :k], neighbours.similarity[:, :k].double()
    # Each share is below 1 / k: together they decide between equal counts, and nothing else.
    shares = (similarity.clamp(-1, 1) + 1) / (2 * k + 1)
    scores = similarity.new_zeros(len(place), classes)
    return scores.scatter_add(1, labels[place], 1 + shares)


def measure_retrieval(
    queries: Tensor, query_labels: Tensor, gallery: Tensor, labels: Tensor, ks: Sequence[int] = (1, 5, 10)
) -> Retrieval:
    """Rank the whole gallery for every query, and measure where its class comes.

    Args:
        queries: (Q, D), at least one.
        query_labels: (Q,) int64.
        gallery: (G, D).
        labels: (G,) int64.
        ks: for which recall is measured.
    """
    precision, found = queries.new_zeros((), dtype=torch.float64), []
    places = torch.arange(1, len(gallery) + 1, device=gallery.device)
    for wanted, similarity in zip(_query_chunks(query_labels, gallery), _similarities(queries, gallery), strict=True):
        ranked = similarity.argsort(dim=1, descending=True, stable=True)
        right = labels[ranked] == wanted[:, None]
        at = right.cumsum(dim=1)
        precision += ((at / places * right).sum(dim=1, dtype=torch.float64) / at[:, -1].clamp(min=1)).sum()
        found.append(torch.stack([at[:, min(k, len(gallery)) - 1] > 0 for k in ks]).sum(dim=1))
    shares = (100 * torch.stack(found).sum(dim=0).double() / len(queries)).tolist()
    return Retrieval(dict(zip(ks, shares, strict=True)), 100 * float(precision) / len(queries))


def _similarities(queries: Tensor, gallery: Tensor) -> Iterator[Tensor]:
    """Yield the cosines of some queries after others with the whole gallery, each (q, G) float32."""
    units = F.normalize(gallery.float(), dim=1)
    for part in _query_chunks(queries, gallery):
        yield F.normalize(part.float(), dim=1) @ units.T


def _query_chunks(each_query: Tensor, gallery: Tensor) -> tuple[Tensor, ...]:
    """Divide what there is one of for each query into the parts that are computed at a time."""
    return torch.split(each_query, max(1, CHUNK_SIMILARITIES // max(1, len(gallery)))) if len(each_query) else ()


def _percent(right: Tensor) -> float:
    return 100 * float(right.double().mean())


def evaluate_knn(
    network: Path | None, recipe: Recipe, context: EvaluationContext, ks: Sequence[int]
) -> RetrievalEvaluation:
    """Classify and retrieve test clips by the training clips whose features are nearest (cosine similarity).

    Args:
        network: as in `embed`.
        recipe: what it was trained by.
        context: where.
        ks: how many neighbours vote.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    featuriser = load_feature_extractor(network, recipe)
    source = open_run_data(recipe, context, ("train", "test"))
    gallery, queries = (predict_split(featuriser, source, side, context) for side in ("train", "test"))
    if max(ks) > len(gallery.clip):
        logger.warning(f"k = {max(ks)}, but all {len(gallery.clip)} training clips are fewer")
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
