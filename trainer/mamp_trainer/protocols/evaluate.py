"""Measuring trained networks on a store: classifiers on the test split, encoders by protocols that train nothing.

`embed_clips` returns the features that an encoder has of clips.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.run_files import TOP1, TOP5, UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.base import Model
from mamp_schemas.models.recipe import EvaluationRecipe, Recipe
from mamp_schemas.models.results import ClassAccuracy, ClassifierEvaluation, NetworkMeasurement
from mamp_schemas.models.splits import Split
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.checkpoints.load import weights_digest
from mamp_trainer.data.dataset import RunData
from mamp_trainer.models.clip_encoder import ClipEncoder
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.base import EncodedClips, MeasuredProtocol
from mamp_trainer.protocols.metrics import Confusion, accuracy, confusion
from mamp_trainer.protocols.networks import load_classifier, load_feature_extractor
from mamp_trainer.protocols.predictions import ClipPredictions, predict_logits
from mamp_trainer.training.runtime import ComputeContext, measure_budget

CONFUSED_PAIRS = 10
"""How many pairs of classes an evaluation names."""


def evaluate(
    network: Path, recipe: EvaluationRecipe, store: StoragePath, context: ComputeContext
) -> tuple[ClassifierEvaluation, ClipPredictions]:
    """Measure a trained classifier on the test split of its recipe's protocol.

    Args:
        network: the folder of an evaluation's run or of a checkpoint, or a released `.pth` file.
        recipe: the recipe that it was trained with.
        store: a finished store, its split manifest beside it.
        context: device and ranks, which share the clips; every clip counts once.

    Returns:
        What was measured, and the logits of each clip.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    model = load_classifier(network, recipe)
    data = open_run_data(recipe, store, context, ("test",))
    predictions = predict_split(model, data, "test", context)
    confused = confusion(predictions.logits, predictions.label)
    measured = accuracy(predictions.logits, predictions.label)
    evaluation = ClassifierEvaluation(
        **network_measurement(network, model, data).model_dump(),
        clips=len(predictions.clip),
        top1=measured[TOP1],
        top5=measured[TOP5],
        classes=tuple(_class_accuracies(confused, data.store.metadata.dataset_spec().class_names)),
        hardest=tuple(confused.pairs[:CONFUSED_PAIRS]),
        matrix=tuple(map(tuple, confused.matrix.tolist())),
        metrics=dict(PROTOCOLS.get(recipe.kind).metrics(predictions.logits, predictions.label)),
    )
    return evaluation, predictions


def measure_encoder(
    name: str, network: Path | None, recipe: Recipe, options: Model, store: StoragePath, context: ComputeContext
) -> NetworkMeasurement:
    """Measure an encoder by a protocol that trains nothing.

    Args:
        name: the protocol's.
        network: the folder of a run of any task or of a checkpoint, a released `.pth` file, or None for initial
            weights.
        recipe: the recipe that it was trained with.
        options: the protocol's options.
        store: a finished store, its split manifest beside it.
        context: device and ranks, which share the clips; every clip counts once.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    protocol: MeasuredProtocol[Any] = PROTOCOLS.get(name)
    extractor = load_feature_extractor(network, recipe)
    data = open_run_data(recipe, store, context, ("train", "test"))
    train, test = (EncodedClips(*predict_split(extractor, data, split, context)) for split in ("train", "test"))
    classes = data.store.metadata.dataset_spec().classes
    measured = protocol.measure(train, test, classes, options)
    return protocol.result(**network_measurement(network, extractor, data).model_dump(), **measured)


def open_run_data(recipe: Recipe, store: StoragePath, context: ComputeContext, splits: Sequence[Split]) -> RunData:
    """Open the store of a recipe on the device that the context names, to read each clip once."""
    device = context.torch_device()
    budget = measure_budget(device, context.dist_context)
    return RunData.open(store, recipe, device, budget, splits, read_once=True)


def predict_split(
    model: ClipEncoder, data: RunData, split: Split, context: ComputeContext, labelled: bool = True
) -> ClipPredictions:
    """Return a network's outputs for all clips of a split, on the CPU."""
    clips = data.load_labelled(split) if labelled else data.load(split)
    batches, progress = data.test_batches(clips), context.progress
    progress.start(f"{split} clips", batches.steps, "batches")
    with matmul_precision(data.recipe.precision):
        outputs = predict_logits(model.to(data.device), batches, lambda: progress.advance(1), context.dist_context)
    return ClipPredictions(data.ids[split], clips.table.label, outputs.cpu())


def network_measurement(network: Path | None, model: ClipEncoder, data: RunData) -> NetworkMeasurement:
    """Return which network is measured, and on what data."""
    return NetworkMeasurement(
        network=UNTRAINED if network is None else str(network),
        weights=weights_digest(model.state_dict()),
        recipe=data.recipe.name,
        dataset=data.recipe.dataset,
        protocol=data.recipe.protocol,
        store_hash=data.store.metadata.content_hash,
        manifest_hash=data.manifest.digest(),
        test_crop=data.recipe.sampling.test_crop,
    )


def _class_accuracies(confused: Confusion, names: Sequence[str]) -> list[ClassAccuracy]:
    clips, right = confused.matrix.sum(dim=1).tolist(), confused.accuracy.tolist()
    wrong, instead = confused.matrix.clone().fill_diagonal_(0).max(dim=1)
    return [
        ClassAccuracy(
            label=label,
            name=name,
            clips=clips[label],
            top1=right[label] if clips[label] else None,
            taken_for=int(instead[label]) if wrong[label] else None,
        )
        for label, name in enumerate(names)
    ]


class Features(NamedTuple):
    """Features of clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based; -1 where unknown.
        split: `train` or `test` of each; `side` in the file.
        features: (N, D) float32.
    """

    clip: Sequence[str]
    label: NDArray[np.int64]
    split: Sequence[str]
    features: NDArray[np.float32]

    def write_npz(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the four arrays, and each entry of the metadata as an array of one text.

        Raises:
            OutputError: the file cannot be written.
        """
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"clip": np.array(self.clip), "label": self.label, "side": np.array(self.split)}
        arrays |= {"features": self.features, **{name: np.array(text) for name, text in metadata.items()}}
        np.savez(buffer, **arrays)
        write_file(path, buffer.getvalue())


def embed_clips(
    network: Path | None, recipe: Recipe, store: StoragePath, context: ComputeContext, splits: Sequence[Split]
) -> tuple[Features, dict[str, str]]:
    """Return the features of clips, and which network made them of which data.

    Args:
        network: the folder of a run of any task or of a checkpoint, a released `.pth` file, or None for initial
            weights.
        recipe: the recipe that it was trained with.
        store: a finished store, its split manifest beside it.
        context: device and ranks, which share the clips; every clip counts once.
        splits: the splits, in this order.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    extractor = load_feature_extractor(network, recipe)
    data = open_run_data(recipe, store, context, splits)
    parts = {split: predict_split(extractor, data, split, context, labelled=False) for split in splits}
    features = Features(
        clip=[name for part in parts.values() for name in part.clip],
        label=np.concatenate([part.label.numpy() for part in parts.values()]),
        split=[split for split, part in parts.items() for _ in part.clip],
        features=np.concatenate([part.logits.numpy() for part in parts.values()]),
    )
    made_by = network_measurement(network, extractor, data).model_dump()
    return features, {name: str(value) for name, value in made_by.items()}
