"""Owns looking at what a run has learned: which classes it confuses, and where its encoder puts clips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_trainer.chosen import TestSide
from mamp_trainer.classifiers import trained_recipe
from mamp_trainer.compute import matmul_precision
from mamp_trainer.confusion import Confused, class_accuracy, confusion_matrix, hardest_pairs
from mamp_trainer.features import clip_features, load_featuriser
from mamp_trainer.origin import find_recipe
from mamp_trainer.runtime import choose_device
from mamp_trainer.scores import SCORES_FILE, Scores
from mamp_trainer.tasks.measuring import Bench, evaluate
from mamp_trainer.weights import checkpoint_folder

AT_ONCE = 32
"""Clips of a batch of which features are computed."""


class Examined(NamedTuple):
    """Which classes are taken for which.

    Attributes:
        matrix: (K, K) int64, clips of each class (rows) taken for each class.
        accuracy: (K,) float64, percent; NaN where a class has no clips.
        pairs: all classes taken for another one, the hardest first.
    """

    matrix: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    pairs: list[Confused]


def examine(scores: Scores) -> Examined:
    """Return which classes are taken for which, by the highest score of each clip."""
    classes = scores.logits.shape[1]
    matrix = confusion_matrix(scores.logits.argmax(dim=1), scores.label, classes)
    return Examined(matrix.numpy(), class_accuracy(matrix).numpy(), hardest_pairs(matrix, classes**2))


def kept_scores(run: Path) -> Scores | None:
    """Return the scores that a run has left, None where it has left none.

    Raises:
        CheckpointError: they are damaged.
    """
    path = run / SCORES_FILE
    return Scores.read(path) if path.exists() else None


def compute_scores(run: Path, store_path: Place, device: str, progress: Progress) -> Scores:
    """Return what the classifier of a run's latest checkpoint says of all test clips.

    Args:
        run: its folder.
        store_path: the store that it was trained on.
        device: `auto`, `cpu` or `cuda`.
        progress: told of the batches.

    Raises:
        MampctlError: any of the checkpoint's, recipe's, store's and manifest's errors.
    """
    folder = checkpoint_folder(run)
    recipe = trained_recipe(folder)
    TestSide.open(folder, recipe, store_path)
    return evaluate(folder, recipe, Bench(store_path, device, progress))[1]


class Placed(NamedTuple):
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


def place_clips(run: Path, store_path: Place, count: int, device: str, progress: Progress) -> Placed:
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
    folder, recipe, where = checkpoint_folder(run), find_recipe(run), choose_device(device)
    side = TestSide.open(folder, recipe, store_path)
    chosen = side.draw(count)
    batches = side.batches(chosen, where, AT_ONCE)
    progress.start("features", batches.steps, "batches")
    with matmul_precision(recipe.precision):
        values = clip_features(load_featuriser(folder, recipe).to(where), batches, lambda: progress.advance(1))
    names = [side.store.ids[clip] for clip in chosen]
    return Placed(names, batches.clips.table.label.numpy(), values.cpu().numpy(), len(side.clips))
