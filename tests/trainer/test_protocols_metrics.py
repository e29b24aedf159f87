import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mamp_schemas.models.results import ConfusedPair
from mamp_trainer.protocols.metrics import class_accuracy, confusion_matrix, most_confused_pairs

CLASSES = 4
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


def matrix_of(clips: list[tuple[int, int]]) -> torch.Tensor:
    """Return the matrix of (label, predicted) of each clip."""
    label, predicted = torch.tensor(clips).unbind(1)
    return confusion_matrix(predicted, label, CLASSES)


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_confusion_matrix__equals_scikit_learns(clips: list[tuple[int, int]]) -> None:
    label, predicted = zip(*clips, strict=True)
    expected = metrics.confusion_matrix(label, predicted, labels=range(CLASSES))
    assert matrix_of(clips).tolist() == expected.tolist()


@settings(max_examples=50, deadline=None)
@given(pairs, pairs)
def test_confusion_matrix__of_parts_add_up(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    assert torch.equal(matrix_of(first) + matrix_of(second), matrix_of(first + second))


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_class_accuracy__equals_scikit_learns_recall(clips: list[tuple[int, int]]) -> None:
    label, predicted = zip(*clips, strict=True)
    recall = metrics.recall_score(label, predicted, labels=range(CLASSES), average=None, zero_division=float("nan"))
    assert class_accuracy(matrix_of(clips)).tolist() == pytest.approx((100 * recall).tolist(), nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_most_confused_pairs__are_all_that_is_confused_by_share(clips: list[tuple[int, int]]) -> None:
    found = most_confused_pairs(matrix_of(clips), count=CLASSES**2)
    labels = [label for label, _ in clips]
    assert {(pair.label, pair.taken_for) for pair in found} == {pair for pair in clips if pair[0] != pair[1]}
    assert all(pair.clips == clips.count((pair.label, pair.taken_for)) for pair in found)
    assert all(pair.share == pytest.approx(100 * pair.clips / labels.count(pair.label)) for pair in found)
    assert [pair.share for pair in found] == sorted((pair.share for pair in found), reverse=True)


def test_most_confused_pairs__as_many_as_asked_for() -> None:
    matrix = matrix_of([(0, 1), (0, 0), (1, 1), (2, 0), (2, 0), (2, 3), (2, 2)])
    assert most_confused_pairs(matrix, 2) == [
        ConfusedPair(label=0, taken_for=1, clips=1, share=50.0),
        ConfusedPair(label=2, taken_for=0, clips=2, share=50.0),
    ]
