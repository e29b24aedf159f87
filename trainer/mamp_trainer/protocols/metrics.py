"""Top-k accuracy and the confusion matrix. K classes, N clips."""

from typing import NamedTuple

import torch
from torch import Tensor

from mamp_schemas.io.run_files import TOP1, TOP5
from mamp_schemas.models.results import ConfusedPair


def top_k_hits(logits: Tensor, label: Tensor, ks: tuple[int, ...] = (1, 5)) -> Tensor:
    """Count the clips whose label is among the k highest logits.

    Args:
        logits: (N, K).
        label: (N,) int64.
        ks: the k to count for; a k beyond the classes counts every clip.

    Returns:
        (len(ks),) int64 on the device of `logits`.
    """
    ranked = logits.argsort(dim=1, descending=True, stable=True)
    right = ranked == label[:, None]
    return right.cumsum(dim=1)[:, [min(k, logits.shape[1]) - 1 for k in ks]].sum(dim=0)


def accuracy(logits: Tensor, label: Tensor) -> dict[str, float]:
    """Return top-1 and top-5 accuracy in percent.

    Args:
        logits: (N, K).
        label: (N,) int64.
    """
    hits = top_k_hits(logits, label.to(logits.device))
    top1, top5 = (100 * hits.double() / len(label)).tolist()
    return {TOP1: top1, TOP5: top5}


def confusion_matrix(predicted: Tensor, label: Tensor, classes: int) -> Tensor:
    """Count the clips of each class (rows) that are taken for each class (columns).

    Matrices of parts of the clips, from several ranks say, add up to that of all.

    Args:
        predicted: (N,) int64, 0-based.
        label: (N,) int64, what the clips are.
        classes: how many there are.

    Returns:
        (K, K) int64 on their device.
    """
    return torch.bincount(label * classes + predicted, minlength=classes**2).view(classes, classes)


def class_accuracy(matrix: Tensor) -> Tensor:
    """Return the percentage of each class's clips that are recognised, (K,) float64; NaN where it has none."""
    return 100 * matrix.diagonal().double() / matrix.sum(dim=1)


def most_confused_pairs(matrix: Tensor, count: int) -> list[ConfusedPair]:
    """Return the classes most often taken for another one, by the share of their clips; fewer where fewer are.

    Args:
        matrix: (K, K), from `confusion_matrix`.
        count: how many at most.
    """
    wrong = matrix.clone().fill_diagonal_(0).flatten()
    clips = matrix.sum(dim=1).repeat_interleave(len(matrix))
    shares = 100 * wrong.double() / clips.clamp(min=1)
    ranked = shares.argsort(descending=True, stable=True)[:count]
    pairs = zip(ranked.tolist(), wrong[ranked].tolist(), shares[ranked].tolist(), strict=True)
    return [
        ConfusedPair(label=pair // len(matrix), taken_for=pair % len(matrix), clips=number, share=share)
        for pair, number, share in pairs
        if number
    ]


class Confusion(NamedTuple):
    """Which classes are taken for which.

    Attributes:
        matrix: (K, K) int64, clips of each class (rows) taken for each class (columns).
        accuracy: (K,) float64, percent of each class's clips; NaN for a class without clips.
        pairs: all classes taken for another one, by the share of their clips.
    """

    matrix: Tensor
    accuracy: Tensor
    pairs: list[ConfusedPair]


def confusion(logits: Tensor, label: Tensor) -> Confusion:
    """Return which classes are taken for which, by the highest logit of each clip.

    Args:
        logits: (N, K).
        label: (N,) int64.
    """
    matrix = confusion_matrix(logits.argmax(dim=1), label, logits.shape[1])
    return Confusion(matrix, class_accuracy(matrix), most_confused_pairs(matrix, matrix.numel()))
