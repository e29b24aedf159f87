"""kNN classification and retrieval by cosine similarity of features, exact; trains nothing.

Shapes: Q queries, G clips of the gallery, D features, K classes. Similarities are computed for a chunk of queries at a
time, on the features' device.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mamp_schemas.models.protocols import KnnOptions
from mamp_schemas.models.results import RetrievalEvaluation
from mamp_trainer.protocols.base import EncodedClips, MeasuredProtocol

logger = logging.getLogger(__name__)

CHUNK_SIMILARITIES = 2**26
"""Similarities in memory at a time: 256 MiB."""


class NearestClips(NamedTuple):
    """The nearest clips of a gallery, nearest first.

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


def find_nearest(queries: Tensor, gallery: Tensor, k: int) -> NearestClips:
    """Find the k nearest of a gallery for every query; all of it where it has fewer than k.

    Args:
        queries: (Q, D).
        gallery: (G, D); the cosine with a feature of zeros is 0.
        k: number of nearest clips.
    """
    count = min(k, len(gallery))
    chunks = [similarity.topk(count, dim=1) for similarity in _similarities(queries, gallery)]
    if not chunks:
        return NearestClips(queries.new_empty(0, count, dtype=torch.int64), queries.new_empty(0, count))
    return NearestClips(torch.cat([chunk.indices for chunk in chunks]), torch.cat([chunk.values for chunk in chunks]))


def vote(nearest: NearestClips, labels: Tensor, classes: int, k: int) -> Tensor:
    """Return the score of each class, (Q, K) float64: the class of the highest is the kNN prediction.

    Each of the k nearest has one vote. Of classes with equally many votes, the one with the larger sum of similarities
    wins.

    Args:
        nearest: at least the k nearest, or the whole gallery.
        labels: (G,) int64, of the gallery.
        classes: K.
        k: number of nearest clips that vote.
    """
    rows, similarity = nearest.indices[:, :k], nearest.similarity[:, :k].double()
    # Each tie-breaker is below 1 / k: together they decide between equal counts, and nothing else.
    tie_breakers = (similarity.clamp(-1, 1) + 1) / (2 * k + 1)
    scores = similarity.new_zeros(len(rows), classes)
    return scores.scatter_add(1, labels[rows], 1 + tie_breakers)


def measure_retrieval(
    queries: Tensor, query_labels: Tensor, gallery: Tensor, labels: Tensor, ks: Sequence[int] = (1, 5, 10)
) -> Retrieval:
    """Rank the whole gallery for every query, and measure at which ranks the query's class comes.

    Args:
        queries: (Q, D), at least one.
        query_labels: (Q,) int64.
        gallery: (G, D).
        labels: (G,) int64.
        ks: the k of recall@k.
    """
    precision, hits = queries.new_zeros((), dtype=torch.float64), []
    ranks = torch.arange(1, len(gallery) + 1, device=gallery.device)
    for wanted, similarity in zip(_query_chunks(query_labels, gallery), _similarities(queries, gallery), strict=True):
        ranked = similarity.argsort(dim=1, descending=True, stable=True)
        right = labels[ranked] == wanted[:, None]
        right_so_far = right.cumsum(dim=1)
        precisions = (right_so_far / ranks * right).sum(dim=1, dtype=torch.float64)
        precision += (precisions / right_so_far[:, -1].clamp(min=1)).sum()
        hits.append(torch.stack([right_so_far[:, min(k, len(gallery)) - 1] > 0 for k in ks]).sum(dim=1))
    recall = (100 * torch.stack(hits).sum(dim=0).double() / len(queries)).tolist()
    return Retrieval(dict(zip(ks, recall, strict=True)), 100 * float(precision) / len(queries))


def _similarities(queries: Tensor, gallery: Tensor) -> Iterator[Tensor]:
    """Yield the cosines (q, G) of one chunk of queries after the other with the whole gallery, float32."""
    units = F.normalize(gallery.float(), dim=1)
    for chunk in _query_chunks(queries, gallery):
        yield F.normalize(chunk.float(), dim=1) @ units.T


def _query_chunks(per_query: Tensor, gallery: Tensor) -> tuple[Tensor, ...]:
    """Split a tensor with one row a query into the chunks that are computed at a time."""
    return torch.split(per_query, max(1, CHUNK_SIMILARITIES // max(1, len(gallery)))) if len(per_query) else ()


class KnnProtocol(MeasuredProtocol[KnnOptions]):
    """Test clips are classified by, and searched among, the training clips."""

    options = KnnOptions
    summary = "Classify and retrieve test clips by the training clips whose features are nearest."
    result = RetrievalEvaluation

    def measure(self, train: EncodedClips, test: EncodedClips, classes: int, options: KnnOptions) -> Mapping[str, Any]:
        """Return kNN accuracy for each k, recall and mean average precision, in percent."""
        ks = sorted(set(options.k))
        if ks[-1] > len(train.clip):
            logger.warning(f"k = {ks[-1]}, but all {len(train.clip)} training clips are fewer")
        nearest = find_nearest(test.features, train.features, ks[-1])
        votes = {k: vote(nearest, train.label, classes, k).argmax(dim=1) for k in ks}
        retrieval = measure_retrieval(test.features, test.label, train.features, train.label)
        return {
            "clips": len(test.clip),
            "gallery": len(train.clip),
            "knn": {k: _percent(predicted == test.label) for k, predicted in votes.items()},
            "recall": retrieval.recall,
            "mean_average_precision": retrieval.mean_average_precision,
        }


def _percent(right: Tensor) -> float:
    return 100 * float(right.double().mean())


KNN = KnnProtocol()
