"""kNN classification and retrieval by cosine similarity of features, exact; trains nothing.

There is one ranking of the gallery for each query, and classification and retrieval both use it: kNN accuracy at k = 1
equals recall@1. Cosines are float64, rounded to multiples of 2^-40. So equal features tie whatever the size of a chunk,
the number of threads or the device, and of tied clips the earlier one in the gallery comes first.

Shapes: Q queries, q of them in a chunk, G clips of the gallery, D features, K classes. Similarities are computed for a
chunk of queries at a time, on the features' device.
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

CHUNK_SIMILARITIES = 2**21
"""Similarities in memory at a time: 16 MiB, and some ten times as much while they are ranked."""

COSINE_BITS = 40
"""A similarity is a cosine in units of 2^-40."""


class Ranking(NamedTuple):
    """Clips of the gallery for each query, nearest first; of equally near clips the earlier one in the gallery first.

    Attributes:
        indices: (q, G) int64, rows of the gallery.
        similarity: (q, G) int64, cosines in units of 2^-40.
    """

    indices: Tensor
    similarity: Tensor


class KnnMetrics(NamedTuple):
    """How well the nearest clips of a gallery tell a query's class, in percent.

    Attributes:
        knn: by k, the share of queries that the k nearest classify correctly.
        recall: by k, the share of queries with a clip of their class among the k nearest.
        mean_average_precision: mean over the queries of the average precision over the whole ranking; 0 for a
            query whose class the gallery does not have.
    """

    knn: dict[int, float]
    recall: dict[int, float]
    mean_average_precision: float


def rank_gallery(queries: Tensor, gallery: Tensor) -> Iterator[Ranking]:
    """Yield the whole gallery in order of its similarity, for one chunk of queries after the other.

    Args:
        queries: (Q, D).
        gallery: (G, D); the cosine with a feature of zeros is 0.
    """
    units = F.normalize(gallery.double(), dim=1)
    for chunk in _query_chunks(queries, gallery):
        cosines = F.normalize(chunk.double(), dim=1) @ units.T
        similarity = cosines.mul_(2**COSINE_BITS).round_().long()
        ranked = similarity.sort(dim=1, descending=True, stable=True)
        yield Ranking(ranked.indices, ranked.values)


def classify(ranking: Ranking, labels: Tensor, classes: int, k: int) -> Tensor:
    """Return the kNN prediction of each query, (q,) int64.

    Each of the k nearest has one vote. Of classes with equally many votes, the one with the larger sum of similarities
    wins; of those with the same sum, the one whose nearest clip comes first.

    Args:
        ranking: at least the k nearest, or the whole gallery.
        labels: (G,) int64, of the gallery.
        classes: K.
        k: number of nearest clips that vote.
    """
    voted, similarity = labels[ranking.indices[:, :k]], ranking.similarity[:, :k]
    per_class = similarity.new_zeros(len(voted), classes)
    votes = per_class.scatter_add(1, voted, torch.ones_like(voted))
    sums = per_class.scatter_add(1, voted, similarity)
    rank = torch.arange(voted.shape[1], device=voted.device).expand_as(voted)
    first = torch.full_like(per_class, k).scatter_reduce(1, voted, rank, "amin")
    wins = votes == votes.amax(dim=1, keepdim=True)
    sums = sums.masked_fill(~wins, torch.iinfo(torch.int64).min)
    wins &= sums == sums.amax(dim=1, keepdim=True)
    return first.masked_fill(~wins, k + 1).argmin(dim=1)


def measure_knn(
    queries: Tensor,
    query_labels: Tensor,
    gallery: Tensor,
    labels: Tensor,
    classes: int,
    *,
    knn_ks: Sequence[int] = (1, 20),
    recall_ks: Sequence[int] = (1, 5, 10),
) -> KnnMetrics:
    """Rank the whole gallery for every query; classify the query by it, and measure at which ranks its class comes.

    Args:
        queries: (Q, D), at least one.
        query_labels: (Q,) int64.
        gallery: (G, D).
        labels: (G,) int64.
        classes: K.
        knn_ks: the k of kNN.
        recall_ks: the k of recall@k.
    """
    correct = torch.zeros(len(knn_ks), dtype=torch.int64, device=gallery.device)
    found = torch.zeros(len(recall_ks), dtype=torch.int64, device=gallery.device)
    precision = 0.0
    ranks = torch.arange(1, len(gallery) + 1, device=gallery.device, dtype=torch.float64)
    wanted_chunks = _query_chunks(query_labels, gallery)
    for wanted, ranking in zip(wanted_chunks, rank_gallery(queries, gallery), strict=True):
        correct += torch.stack([(classify(ranking, labels, classes, k) == wanted).sum() for k in knn_ks])
        right = labels[ranking.indices] == wanted[:, None]
        right_so_far = right.cumsum(dim=1)
        found += torch.stack([(right_so_far[:, min(k, len(gallery)) - 1] > 0).sum() for k in recall_ks])
        precisions = (right_so_far / ranks).mul_(right).sum(dim=1)
        precision += float((precisions / right_so_far[:, -1].clamp(min=1)).sum())

    def shares(ks: Sequence[int], counts: Tensor) -> dict[int, float]:
        return {k: 100 * count / len(queries) for k, count in zip(ks, counts.tolist(), strict=True)}

    return KnnMetrics(shares(knn_ks, correct), shares(recall_ks, found), 100 * precision / len(queries))


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
        measured = measure_knn(test.features, test.label, train.features, train.label, classes, knn_ks=ks)
        return {"clips": len(test.clip), "gallery": len(train.clip), **measured._asdict()}


KNN = KnnProtocol()
