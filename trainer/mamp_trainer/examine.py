"""Owns looking at what a run has learned: which classes it confuses, and where its encoder puts clips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_trainer.chosen import TestSide
from mamp_trainer.classifiers import load_classifier, trained_recipe
from mamp_trainer.compute import autocast, matmul_precision
from mamp_trainer.confusion import Confused, class_accuracy, confusion_matrix, hardest_pairs
from mamp_trainer.memory import measure_budget
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.heads import encode_once
from mamp_trainer.origin import find_recipe
from mamp_trainer.runtime import choose_device
from mamp_trainer.scores import SCORES_FILE, Scores, class_scores
from mamp_trainer.tasks.source import Source
from mamp_trainer.weights import checkpoint_folder, load_encoder

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
    folder, recipe, where = checkpoint_folder(run), trained_recipe(run), choose_device(device)
    TestSide.open(folder, recipe, store_path)
    source = Source.open(store_path, recipe, where, measure_budget(where), progress)
    batches = source.test_batches(source.load_labelled("test"))
    progress.start("scores", batches.steps, "batches")
    with matmul_precision(recipe.precision):
        logits = class_scores(load_classifier(folder, recipe).to(where), batches, lambda: progress.advance(1))
    return Scores(source.ids["test"], batches.clips.table.label, logits.cpu())


class Placed(NamedTuple):
    """Where an encoder puts clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, -1 where unknown.
        values: (N, D) float32, the encoder's output, mean over bodies, segments and joints.
        total: how many test clips there are.
    """

    clip: list[str]
    label: NDArray[np.int64]
    values: NDArray[np.float32]
    total: int


@torch.no_grad()
def place_clips(run: Path, store_path: Place, count: int, device: str, progress: Progress) -> Placed:
    """Return features of test clips, drawn by the recipe's seed, of the encoder of a run's latest checkpoint.

    They are what linear evaluation classifies.

    Args:
        run: its folder.
        store_path: the store that it was trained on.
        count: how many clips; all, where there are fewer.
        device: `auto`, `cpu` or `cuda`.
        progress: told of the clips.

    Raises:
        MampctlError: any of the checkpoint's, store's and manifest's errors.
    """
    folder, recipe, where = checkpoint_folder(run), find_recipe(run), choose_device(device)
    side = TestSide.open(folder, recipe, store_path)
    chosen = side.draw(count)
    encoder = Encoder(recipe.model)
    encoder.load_state_dict(load_encoder(folder, recipe.model))
    encoder.eval().to(where)
    batches = side.batches(chosen, where, AT_ONCE)
    values = np.empty((len(chosen), recipe.model.width), np.float32)
    progress.start("features", len(chosen), "clips")
    for step in range(batches.steps):
        batch = batches.batch(step)
        with matmul_precision(recipe.precision), autocast(recipe.precision, where):
            features = encode_once(encoder, batch.x.flatten(0, 1), batch.slots)
        means = torch.unflatten(features.float(), 0, (len(batch.clip), -1)).mean(dim=(1, 2))
        values[batch.clip.cpu().numpy()] = means.cpu().numpy()
        progress.advance(len(batch.clip))
    names = [side.store.ids[clip] for clip in chosen]
    return Placed(names, batches.clips.table.label.numpy(), values, len(side.clips))
