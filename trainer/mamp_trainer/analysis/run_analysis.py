"""What a run has learned; the classes that it confuses, and the features of its test clips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.progress import Progress
from mamp_trainer.analysis.test_subset import TestSubset
from mamp_trainer.checkpoints.load import resolve_checkpoint
from mamp_trainer.checkpoints.provenance import read_training_recipe
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.evaluate import EvaluationContext, evaluate
from mamp_trainer.protocols.metrics import ConfusedPair, class_accuracy, confusion_matrix, most_confused_pairs
from mamp_trainer.protocols.networks import load_feature_extractor, trained_recipe
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions, predict_logits
from mamp_trainer.training.runtime import choose_device

FEATURE_BATCH_SIZE = 32
"""Clips of a batch of which features are computed."""


class ConfusionReport(NamedTuple):
    """Which classes are taken for which.

    Attributes:
        matrix: (K, K) int64, clips of each class (rows) taken for each class.
        accuracy: (K,) float64, percent; NaN where a class has no clips.
        pairs: all classes taken for another one, the hardest first.
    """

    matrix: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    pairs: list[ConfusedPair]


def confusion_report(scores: ClipPredictions) -> ConfusionReport:
    """Return which classes are taken for which, by the highest score of each clip."""
    classes = scores.logits.shape[1]
    matrix = confusion_matrix(scores.logits.argmax(dim=1), scores.label, classes)
    return ConfusionReport(matrix.numpy(), class_accuracy(matrix).numpy(), most_confused_pairs(matrix, classes**2))


def read_predictions(run: Path) -> ClipPredictions | None:
    """Return the scores that a run has left, None where it has left none.

    Raises:
        CheckpointError: they are damaged.
    """
    path = run / SCORES_FILE
    return ClipPredictions.read(path) if path.exists() else None


def compute_predictions(run: Path, store_path: StoragePath, device: str, progress: Progress) -> ClipPredictions:
    """Return what the classifier of a run's latest checkpoint says of all test clips.

    Args:
        run: its folder.
        store_path: the store that it was trained on.
        device: `auto`, `cpu` or `cuda`.
        progress: told of the batches.

    Raises:
        MampctlError: any of the checkpoint's, recipe's, store's and manifest's errors.
    """
    folder = resolve_checkpoint(run)
    recipe = trained_recipe(folder)
    TestSubset.open(folder, recipe, store_path)
    return evaluate(folder, recipe, EvaluationContext(store_path, device, progress))[1]


class FeaturePoints(NamedTuple):
    """Where an encoder puts clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, -1 where unknown.
        values: (N, D) float32, their features.
        total: how many test clips there are.
    """

    clip: list[str]
    label: NDArray[np.int64]
    values: NDArray[np.float32]
    total: int


def embed_test_clips(run: Path, store_path: StoragePath, count: int, device: str, progress: Progress) -> FeaturePoints:
    """Return features of test clips, drawn by the recipe's seed, of the encoder of a run's latest checkpoint.

    They are what linear evaluation classifies.

    Args:
        run: its folder.
        store_path: the store that it was trained on.
        count: how many clips; all, where there are fewer.
        device: `auto`, `cpu` or `cuda`.
        progress: told of the batches.

    Raises:
        MampctlError: any of the checkpoint's, store's and manifest's errors.
    """
    folder, recipe, where = resolve_checkpoint(run), read_training_recipe(run), choose_device(device)
    side = TestSubset.open(folder, recipe, store_path)
    chosen = side.sample(count)
    batches = side.batches(chosen, where, FEATURE_BATCH_SIZE)
    progress.start("features", batches.steps, "batches")
    with matmul_precision(recipe.precision):
        values = predict_logits(load_feature_extractor(folder, recipe).to(where), batches, lambda: progress.advance(1))
    names = [side.store.ids[clip] for clip in chosen]
    return FeaturePoints(names, batches.clips.table.label.numpy(), values.cpu().numpy(), len(side.clips))
