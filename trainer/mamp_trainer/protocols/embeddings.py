"""The features of clips, the encoder's output as a mean over bodies, segments and joints, and their file."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.io.atomic import write_file
from mamp_schemas.models.protocol import Split
from mamp_schemas.models.recipe import Recipe
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.heads import FeatureExtractor
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.protocols.evaluate import (
    EvaluationContext,
    measured_network,
    network_name,
    open_run_data,
    predict_split,
)
from mamp_trainer.protocols.predictions import predict_logits
from mamp_trainer.training.runtime import seeded


class Features(NamedTuple):
    """Clips as an encoder sees them.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based; -1 where it is not known.
        side: `train` or `test` of each.
        features: (N, D) float32.
    """

    clip: Sequence[str]
    label: NDArray[np.int64]
    side: Sequence[str]
    features: NDArray[np.float32]

    def write_npz(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the four arrays, and each fact as an array of one text.

        Raises:
            OutputError: it cannot be written.
        """
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"clip": np.array(self.clip), "label": self.label, "side": np.array(self.side)}
        arrays |= {"features": self.features, **{name: np.array(fact) for name, fact in metadata.items()}}
        np.savez(buffer, **arrays)
        write_file(path, buffer.getvalue())


def load_feature_extractor(source: Path | None, recipe: Recipe) -> FeatureExtractor:
    """Return what turns clips into features, on the CPU and set to evaluation.

    Args:
        source: the folder of a run of any task or of a checkpoint, or a released `.pth` file; None for initial
            weights, those that an untrained encoder has in linear evaluation.
        recipe: says the shape, and the seed of initial weights.

    Raises:
        CheckpointError: it cannot be read or has another shape.
    """
    with seeded(recipe.seed):
        encoder = Encoder(recipe.model)
    if source is not None:
        encoder.load_state_dict(load_encoder(source, recipe.model))
    return FeatureExtractor(encoder, recipe.precision).eval()


def clip_features(
    extractor: FeatureExtractor,
    batches: TestBatches,
    after_batch: Callable[[], None],
    dist_context: DistContext = SINGLE_PROCESS,
) -> Tensor:
    """Return the features of every clip of `batches`, (clips, D) float32 on every rank.

    Args:
        extractor: from `load_featuriser`.
        batches: each clip once, its centred crop.
        after_batch: called between batches; may raise to stop.
        dist_context: among whom the clips are divided.
    """
    return predict_logits(extractor, batches, after_batch, dist_context)


def embed_clips(
    network: Path | None, recipe: Recipe, context: EvaluationContext, splits: Sequence[Split]
) -> tuple[Features, dict[str, str]]:
    """Return the features of clips, and what they were made by.

    Args:
        network: the folder of a run of any task or of a checkpoint, a released `.pth` file, or None for initial
            weights.
        recipe: what it was trained by.
        context: where.
        splits: whose clips, in this order.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    featuriser = load_feature_extractor(network, recipe)
    source = open_run_data(recipe, context, splits)
    parts = {side: predict_split(featuriser, source, side, context, labelled=False) for side in splits}
    features = Features(
        clip=[name for part in parts.values() for name in part.clip],
        label=np.concatenate([part.label.numpy() for part in parts.values()]),
        side=[side for side, part in parts.items() for _ in part.clip],
        features=np.concatenate([part.logits.numpy() for part in parts.values()]),
    )
    return features, {
        name: str(fact)
        for name, fact in measured_network(network_name(network), featuriser, source).model_dump().items()
    }
