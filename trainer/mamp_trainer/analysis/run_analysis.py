"""Analyse a run: which classes its classifier confuses, its encoder's features, its predictions of masked tokens."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch

from mamp_schemas.errors import CheckpointError, DamagedStoreError, MampctlError
from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.run_files import ANALYSIS_FILE, WEIGHTS_FILE, latest_checkpoint, read_analysis, weights_sha256
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.analysis import (
    AnalysisPart,
    ArrayData,
    ConfusionAnalysis,
    FeatureAnalysis,
    ReconstructionAnalysis,
    RunAnalysis,
)
from mamp_schemas.models.recipe import PRETRAIN
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_schemas.progress import NullProgress, Progress
from mamp_trainer.analysis.reconstruction import reconstruct_masked
from mamp_trainer.analysis.test_subset import TestSubset
from mamp_trainer.checkpoints.files import read_meta
from mamp_trainer.checkpoints.load import resolve_checkpoint
from mamp_trainer.checkpoints.provenance import read_training_recipe
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.evaluate import evaluate
from mamp_trainer.protocols.metrics import confusion
from mamp_trainer.protocols.networks import load_feature_extractor, trained_recipe
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions, predict_logits
from mamp_trainer.training.runtime import ComputeContext, choose_device

logger = logging.getLogger(__name__)

FEATURE_CLIPS = 1_000
"""Test clips whose features are kept: all of a small dataset, seconds of computing and 1 MB of a large one."""
RECONSTRUCTED_CLIPS = 6
"""Test clips of which masked tokens are predicted."""
MAX_PAIRS = 500
"""Pairs of confused classes that are kept."""
FEATURE_BATCH_SIZE = 32
"""Clips of a batch of which features are computed."""

PartT = TypeVar("PartT")


def analyse_run(
    run: Path, store_path: StoragePath, device: str = "auto", progress: Progress | None = None
) -> RunAnalysis:
    """Analyse the latest checkpoint of a run and write `analysis.json` into the run's folder.

    An `analysis.json` that is there is replaced. A part that cannot be computed is left out, with the reason.

    Args:
        run: the folder of a run of any protocol or objective, complete or not.
        store_path: the store that it was trained on, with its manifest.
        device: `auto`, `cpu` or `cuda`.
        progress: receives the progress of the batches.

    Raises:
        CheckpointError: the run has no checkpoint, it is damaged, or the store is another one.
        StoreError, ManifestError, RecipeError: the data cannot be read.
        OutputError: the file cannot be written.
    """
    checkpoint = find_checkpoint(run)
    recipe = read_training_recipe(checkpoint)
    metadata = TestSubset.open(checkpoint, recipe, store_path).store.metadata
    meta = read_meta(checkpoint)
    analyser = _RunAnalyser(run, checkpoint, store_path, device, progress or NullProgress(), {})
    pretrained = recipe.kind == PRETRAIN
    with torch.random.fork_rng(devices=()):  # networks draw initial weights before they load others
        analysis = RunAnalysis(
            checkpoint=checkpoint.name,
            weights=meta.files[WEIGHTS_FILE],
            store_hash=meta.identity.store_hash,
            manifest_hash=meta.identity.manifest_hash,
            class_titles=metadata.dataset_spec().class_titles,
            confusion=None if pretrained else analyser.part("confusion", analyser.confusion),
            features=analyser.part("features", analyser.features),
            reconstruction=analyser.part("reconstruction", analyser.reconstruction) if pretrained else None,
            unavailable=analyser.unavailable,
        )
    write_file(run / ANALYSIS_FILE, dump_sealed_json(analysis, indent=None))
    return analysis


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint of a run that is analysed: its latest.

    Raises:
        CheckpointError: there is none.
    """
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise CheckpointError(
            f"{run}: there is no checkpoint to analyse", remedy="Name the folder of a run that has a checkpoint."
        )
    return checkpoint


def analyse_finished_run(run: Path, store_path: StoragePath, context: ComputeContext) -> None:
    """Analyse a run whose training has just ended; whatever goes wrong is a warning, for the run itself is complete.

    Only the first rank does it. An `analysis.json` of the same weights is kept. No number of the run depends on it.
    """
    if not context.dist_context.is_main or _is_analysed(run):
        return
    try:
        analyse_run(run, store_path, context.device)
    except Exception as problem:  # noqa: BLE001 - also a lack of memory: nothing may fail a run that is complete
        text = problem.message if isinstance(problem, MampctlError) else f"{type(problem).__name__}: {problem}"
        logger.warning(f"{run} is complete, but could not be analysed for reports: {text}")


def _is_analysed(run: Path) -> bool:
    try:
        analysis = read_analysis(run)
    except MampctlError:
        return False
    checkpoint = latest_checkpoint(run)
    return analysis is not None and checkpoint is not None and analysis.weights == weights_sha256(checkpoint)


@dataclass(frozen=True)
class _RunAnalyser:
    """The parts of an analysis, and why some are missing."""

    run: Path
    checkpoint: Path
    store_path: StoragePath
    device: str
    progress: Progress
    unavailable: dict[AnalysisPart, str]

    def part(self, name: AnalysisPart, compute: Callable[[], PartT]) -> PartT | None:
        """Return a part, or None and keep the reason.

        Raises:
            DamagedStoreError: the store is damaged, which no analysis may pass over.
        """
        try:
            return compute()
        except DamagedStoreError:
            raise
        except MampctlError as problem:
            self.unavailable[name] = " ".join(filter(None, (f"{problem.message}.", problem.remedy)))
        except Exception as problem:  # noqa: BLE001 - objectives and protocols of other distributions may raise anything
            self.unavailable[name] = f"{type(problem).__name__}: {problem}"
        return None

    def confusion(self) -> ConfusionAnalysis:
        predictions = read_predictions(self.run)
        if predictions is not None:
            return confusion_analysis(predictions, "scores")
        return confusion_analysis(
            compute_predictions(self.checkpoint, self.store_path, self.device, self.progress), "checkpoint"
        )

    def features(self) -> FeatureAnalysis:
        return embed_test_clips(self.checkpoint, self.store_path, FEATURE_CLIPS, self.device, self.progress)

    def reconstruction(self) -> ReconstructionAnalysis:
        return reconstruct_masked(self.checkpoint, self.store_path, RECONSTRUCTED_CLIPS, self.device)


def confusion_analysis(predictions: ClipPredictions, source: Literal["scores", "checkpoint"]) -> ConfusionAnalysis:
    """Return which classes are taken for which, by the highest score of each clip."""
    matrix, accuracy, pairs = confusion(predictions.logits, predictions.label)
    return ConfusionAnalysis(
        source=source,
        clips=len(predictions.clip),
        matrix=ArrayData.of(matrix.numpy()),
        accuracy=tuple(None if math.isnan(value) else value for value in accuracy.tolist()),
        pairs=tuple(pairs[:MAX_PAIRS]),
        num_pairs=len(pairs),
    )


def read_predictions(run: Path) -> ClipPredictions | None:
    """Return the scores of a run's last epoch, None if it has left none.

    Raises:
        CheckpointError: they are damaged.
    """
    path = run / SCORES_FILE
    return ClipPredictions.read(path) if path.exists() else None


def compute_predictions(source: Path, store_path: StoragePath, device: str, progress: Progress) -> ClipPredictions:
    """Return a classifier's scores of all test clips.

    Args:
        source: the folder of a run, or of one of its checkpoints.
        store_path: the store that it was trained on.
        device: `auto`, `cpu` or `cuda`.
        progress: receives the progress of the batches.

    Raises:
        MampctlError: any of the checkpoint's, recipe's, store's and manifest's errors.
    """
    checkpoint = resolve_checkpoint(source)
    recipe = trained_recipe(checkpoint)
    TestSubset.open(checkpoint, recipe, store_path)
    return evaluate(checkpoint, recipe, store_path, ComputeContext(device=device, progress=progress))[1]


def embed_test_clips(
    source: Path, store_path: StoragePath, count: int, device: str, progress: Progress
) -> FeatureAnalysis:
    """Return the encoder's features of test clips, which are what linear evaluation classifies.

    Args:
        source: the folder of a run, or of one of its checkpoints.
        store_path: the store that it was trained on.
        count: how many clips, drawn by the recipe's seed; all, if there are fewer.
        device: `auto`, `cpu` or `cuda`.
        progress: receives the progress of the batches.

    Raises:
        MampctlError: any of the checkpoint's, store's and manifest's errors.
    """
    checkpoint, torch_device = resolve_checkpoint(source), choose_device(device)
    recipe = read_training_recipe(checkpoint)
    subset = TestSubset.open(checkpoint, recipe, store_path)
    clips = subset.sample(count)
    batches = subset.batches(clips, torch_device, FEATURE_BATCH_SIZE)
    progress.start("features", batches.steps, "batches")
    extractor = load_feature_extractor(checkpoint, recipe).to(torch_device)
    with matmul_precision(recipe.precision):
        features = predict_logits(extractor, batches, lambda: progress.advance(1))
    return FeatureAnalysis(
        clips=tuple(subset.store.ids[clip] for clip in clips),
        labels=tuple(batches.clips.table.label.tolist()),
        features=ArrayData.of(features.cpu().numpy()),
        total=len(subset.clips),
    )
