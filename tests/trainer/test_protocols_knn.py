from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mamp_trainer.protocols import knn as knn_module
from mamp_trainer.protocols.knn import NearestClips, find_nearest, measure_retrieval, vote

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


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_find_nearest__equals_comparing_one_by_one(seed: int, k: int) -> None:
    queries, _, gallery, _ = make_set(seed)
    nearest_clips = find_nearest(queries, gallery, k)
    assert nearest_clips.indices.shape == nearest_clips.similarity.shape == (7, min(k, 23))
    for query, place, similarity in zip(queries, *nearest_clips, strict=True):
        near = ranking(query, gallery)[:k]
        torch.testing.assert_close(
            similarity.double(), torch.tensor([pair[0] for pair in near]).double(), atol=1e-6, rtol=0
        )
        again = torch.tensor([cosine(query, gallery[at]) for at in place])
        torch.testing.assert_close(similarity, again, atol=1e-6, rtol=0)
        assert len(set(place.tolist())) == len(place)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 5, 20, 23]))
def test_vote__equals_counting_one_by_one(seed: int, k: int) -> None:
    queries, _, gallery, labels = make_set(seed)
    scores = vote(find_nearest(queries, gallery, 20), labels, 4, min(k, 20))
    assert scores.argmax(dim=1).tolist() == [knn(query, gallery, labels, min(k, 20)) for query in queries]


def test_vote__the_nearest_alone_decides_at_one() -> None:
    scores = vote(
        NearestClips(torch.tensor([[2, 0, 1]]), torch.tensor([[0.9, 0.8, 0.8]])), torch.tensor([1, 1, 0]), 2, k=1
    )
    assert scores.argmax(dim=1).tolist() == [0]


@pytest.mark.parametrize(("similarity", "winner"), [([0.9, 0.1, 0.6, 0.5], 1), ([0.9, 0.3, 0.6, 0.5], 0)])
def test_vote__equal_counts_are_decided_by_similarity(similarity: list[float], winner: int) -> None:
    nearest_clips = NearestClips(torch.arange(4)[None], torch.tensor([similarity]))
    assert vote(nearest_clips, torch.tensor([0, 0, 1, 1]), 2, k=4).argmax(dim=1).tolist() == [winner]


def test_vote__similarity_never_outweighs_a_vote() -> None:
    nearest_clips = NearestClips(torch.arange(20)[None], torch.tensor([[1.0] * 9 + [-1.0] * 11]))
    labels = torch.tensor([0] * 9 + [1] * 11)
    assert vote(nearest_clips, labels, 2, k=20).argmax(dim=1).tolist() == [1]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_measure_retrieval__equals_ranking_one_by_one(seed: int) -> None:
    queries, wanted, gallery, labels = make_set(seed)
    measured = measure_retrieval(queries, wanted, gallery, labels, ks=(1, 3, 50))
    hits = dict.fromkeys((1, 3, 50), 0)
    for query, label in zip(queries, wanted, strict=True):
        near = [int(labels[at]) for _, at in ranking(query, gallery)]
        for k in hits:
            hits[k] += int(label) in near[:k]
    assert measured.recall == pytest.approx({k: 100 * count / 7 for k, count in hits.items()})
    precisions = [
        average_precision(query, label, gallery, labels) for query, label in zip(queries, wanted, strict=True)
    ]
    assert measured.mean_average_precision == pytest.approx(100 * sum(precisions) / 7, abs=1e-4)


def test_measure_retrieval__a_class_the_gallery_lacks_is_never_found() -> None:
    features = torch.eye(3)
    measured = measure_retrieval(features[:2], torch.tensor([0, 7]), features, torch.tensor([0, 1, 2]), ks=(1, 3))
    assert measured.recall == {1: 50.0, 3: 50.0}
    assert measured.mean_average_precision == 50.0


@pytest.mark.parametrize("chunk", [1, 23, 50, 23 * 6, 23 * 7])
def test_find_nearest__chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, wanted, gallery, labels = make_set(3)
    nearest, measured = find_nearest(queries, gallery, 4), measure_retrieval(queries, wanted, gallery, labels)
    monkeypatch.setattr(knn_module, "CHUNK_SIMILARITIES", chunk)
    parts, again = find_nearest(queries, gallery, 4), measure_retrieval(queries, wanted, gallery, labels)
    assert torch.equal(parts.indices, nearest.indices)
    torch.testing.assert_close(parts.similarity, nearest.similarity, atol=1e-6, rtol=0)
    assert again.recall == measured.recall
    assert again.mean_average_precision == pytest.approx(measured.mean_average_precision, rel=1e-12)


def test_find_nearest__takes_half_precision_features_and_zeros() -> None:
    queries, gallery = torch.tensor([[1.0, 0.0]]).bfloat16(), torch.tensor([[0.0, 0.0], [2.0, 0.0]]).bfloat16()
    nearest_clips = find_nearest(queries, gallery, 2)
    assert nearest_clips.indices.tolist() == [[1, 0]]
    assert nearest_clips.similarity.tolist() == [[1.0, 0.0]]


def test_find_nearest__of_no_query_is_nothing() -> None:
    assert find_nearest(torch.zeros(0, 3), torch.ones(5, 3), 2).indices.shape == (0, 2)
