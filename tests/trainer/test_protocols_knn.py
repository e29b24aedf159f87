from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mamp_trainer.protocols import knn as knn_module
from mamp_trainer.protocols.knn import (
    COSINE_BITS,
    KnnMetrics,
    Ranking,
    classify,
    measure_knn,
    rank_gallery,
)

Set = tuple[Tensor, Tensor, Tensor, Tensor]


def make_set(seed: int, queries: int = 7, gallery: int = 23, classes: int = 4, width: int = 5) -> Set:
    """Return features and labels of queries, then of a gallery; classes lie in different directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(classes, width, generator=generator)
    sides = []
    for count in (queries, gallery):
        label = torch.randint(classes, (count,), generator=generator)
        length = 0.1 + 9 * torch.rand(count, 1, generator=generator)
        sides += [length * (directions[label] + torch.randn(count, width, generator=generator)), label]
    return sides[0], sides[1], sides[2], sides[3]


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = a.double(), b.double()
    return float((a * b).sum() / (a.norm() * b.norm()))


def ranking(query: Tensor, gallery: Tensor) -> list[tuple[float, int]]:
    """Return (similarity, place), nearest first, one pair at a time."""
    return sorted(
        ((cosine(query, feature), at) for at, feature in enumerate(gallery)), key=lambda pair: (-pair[0], pair[1])
    )


def knn(query: Tensor, gallery: Tensor, labels: Tensor, k: int) -> int:
    """Return the class with most votes, then with the larger sum of similarities."""
    nearest = ranking(query, gallery)[:k]
    votes = Counter(int(labels[at]) for _, at in nearest)
    sums = {label: sum(near for near, at in nearest if labels[at] == label) for label in votes}
    return max(votes, key=lambda label: (votes[label], sums[label]))


def average_precision(query: Tensor, label: Tensor, gallery: Tensor, labels: Tensor) -> float:
    ranks = [rank for rank, (_, at) in enumerate(ranking(query, gallery), start=1) if labels[at] == label]
    return sum(hits / rank for hits, rank in enumerate(ranks, start=1)) / len(ranks) if ranks else 0.0


def whole_ranking(queries: Tensor, gallery: Tensor) -> Ranking:
    chunks = list(rank_gallery(queries, gallery))
    return Ranking(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


def ranking_of(*cosines: float) -> Ranking:
    """Return the ranking of one query in which the gallery's clips come in order, with these cosines."""
    return Ranking(torch.arange(len(cosines))[None], torch.tensor([cosines]).double().mul(2**COSINE_BITS).long())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_rank_gallery__equals_comparing_one_by_one(seed: int) -> None:
    queries, _, gallery, _ = make_set(seed)
    ranked = whole_ranking(queries, gallery)
    for query, indices, similarity in zip(queries, *ranked, strict=True):
        near = ranking(query, gallery)
        assert indices.tolist() == [at for _, at in near]
        assert similarity.double().div(2**COSINE_BITS).tolist() == pytest.approx(
            [value for value, _ in near], abs=1e-11
        )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_rank_gallery__of_equal_clips_the_earlier_comes_first(seed: int, copies: int) -> None:
    queries, _, gallery, _ = make_set(seed)
    ranked = whole_ranking(queries, gallery.repeat(copies, 1)).indices
    single = whole_ranking(queries, gallery).indices
    expected = (single[:, :, None] + len(gallery) * torch.arange(copies)).flatten(1)
    assert torch.equal(ranked, expected)


def test_rank_gallery__tells_apart_cosines_that_are_one_in_float32() -> None:
    queries, gallery = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2e-4], [1.0, 1e-4]])
    assert whole_ranking(queries, gallery).indices.tolist() == [[1, 0]]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 5, 20, 23]))
def test_classify__equals_counting_one_by_one(seed: int, k: int) -> None:
    queries, _, gallery, labels = make_set(seed)
    predicted = classify(whole_ranking(queries, gallery), labels, 4, k)
    assert predicted.tolist() == [knn(query, gallery, labels, k) for query in queries]


def test_classify__the_nearest_alone_decides_at_one() -> None:
    assert classify(ranking_of(0.9, 0.8, 0.8), torch.tensor([0, 1, 1]), 2, k=1).tolist() == [0]


@pytest.mark.parametrize(("cosines", "winner"), [((0.9, 0.6, 0.5, 0.1), 1), ((0.9, 0.6, 0.5, 0.3), 0)])
def test_classify__equal_counts_are_decided_by_similarity(cosines: tuple[float, ...], winner: int) -> None:
    assert classify(ranking_of(*cosines), torch.tensor([0, 1, 1, 0]), 2, k=4).tolist() == [winner]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (3, 0, 0, 3)])
def test_classify__equal_sums_are_decided_by_the_nearest_clip(order: tuple[int, ...]) -> None:
    cosines = (0.5,) * len(order)
    assert classify(ranking_of(*cosines), torch.tensor(order), 4, k=len(order)).tolist() == [order[0]]


def test_classify__similarity_never_outweighs_a_vote() -> None:
    labels = torch.tensor([0] * 9 + [1] * 11)
    assert classify(ranking_of(*[1.0] * 9, *[-1.0] * 11), labels, 2, k=20).tolist() == [1]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_measure_neighbours__equals_ranking_one_by_one(seed: int) -> None:
    queries, wanted, gallery, labels = make_set(seed)
    measured = measure_knn(queries, wanted, gallery, labels, 4, knn_ks=(1, 5), recall_ks=(1, 3, 50))
    hits, right = dict.fromkeys((1, 3, 50), 0), dict.fromkeys((1, 5), 0)
    for query, label in zip(queries, wanted, strict=True):
        near = [int(labels[at]) for _, at in ranking(query, gallery)]
        for k in hits:
            hits[k] += int(label) in near[:k]
        for k in right:
            right[k] += int(label) == knn(query, gallery, labels, k)
    assert measured.recall == pytest.approx({k: 100 * count / 7 for k, count in hits.items()})
    assert measured.knn == pytest.approx({k: 100 * count / 7 for k, count in right.items()})
    precisions = [
        average_precision(query, label, gallery, labels) for query, label in zip(queries, wanted, strict=True)
    ]
    assert measured.mean_average_precision == pytest.approx(100 * sum(precisions) / 7, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_measure_neighbours__knn_at_one_is_recall_at_one(seed: int, distinct: int) -> None:
    queries, wanted, gallery, labels = make_set(seed)
    # Few different features: most clips tie with others, of other classes too.
    measured = measure_knn(queries, wanted, gallery[torch.arange(23) % distinct], labels, 4)
    assert measured.knn[1] == measured.recall[1]


def test_measure_neighbours__a_class_the_gallery_lacks_is_never_found() -> None:
    features = torch.eye(3)
    labels = torch.tensor([0, 1, 2])
    measured = measure_knn(features[:2], torch.tensor([0, 7]), features, labels, 8, recall_ks=(1, 3))
    assert measured.recall == {1: 50.0, 3: 50.0}
    assert measured.mean_average_precision == 50.0


@pytest.mark.parametrize("chunk", [1, 23, 50, 23 * 6, 23 * 7])
def test_rank_gallery__chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, wanted, gallery, labels = make_set(3)

    def measure() -> tuple[Ranking, KnnMetrics]:
        return whole_ranking(queries, gallery), measure_knn(queries, wanted, gallery, labels, 4)

    ranked, measured = measure()
    monkeypatch.setattr(knn_module, "CHUNK_SIMILARITIES", chunk)
    parts, again = measure()
    assert torch.equal(parts.indices, ranked.indices)
    assert (parts.similarity - ranked.similarity).abs().max() <= 1
    assert again[:2] == measured[:2]
    assert again.mean_average_precision == pytest.approx(measured.mean_average_precision, rel=1e-12)


def test_rank_gallery__takes_half_precision_features_and_zeros() -> None:
    queries, gallery = torch.tensor([[1.0, 0.0]]).bfloat16(), torch.tensor([[0.0, 0.0], [2.0, 0.0]]).bfloat16()
    ranked = whole_ranking(queries, gallery)
    assert ranked.indices.tolist() == [[1, 0]]
    assert ranked.similarity.tolist() == [[2**COSINE_BITS, 0]]


def test_rank_gallery__of_no_query_is_nothing() -> None:
    assert list(rank_gallery(torch.zeros(0, 3), torch.ones(5, 3))) == []
