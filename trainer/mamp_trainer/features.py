"""Owns the features of clips: what an encoder makes of them, the mean over bodies, segments and joints."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.progress import Progress
from mamp_schemas.recipes import Recipe
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.heads import FeatureExtractor
from mamp_trainer.output import write_file
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.runtime import seeded
from mamp_trainer.scores import predict_logits
from mamp_trainer.weights import load_encoder


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


def load_feature_extractor(source: Path | None, recipe: Recipe, progress: Progress | None = None) -> FeatureExtractor:
    """Return what turns clips into features, on the CPU and set to evaluation.

    Args:
        source: the folder of a run of any task or of a checkpoint, or a released `.pth` file; None for initial
            weights, those that an untrained encoder has in linear evaluation.
        recipe: says the shape, and the seed of initial weights.
        progress: is warned where a released file is of another number of segments.

    Raises:
        CheckpointError: it cannot be read or has another shape.
    """
    with seeded(recipe.seed):
        encoder = Encoder(recipe.model)
    if source is not None:
        encoder.load_state_dict(load_encoder(source, recipe.model, progress))
    return FeatureExtractor(encoder, recipe.precision).eval()


def clip_features(
    extractor: FeatureExtractor, batches: TestBatches, after_batch: Callable[[], None], dist_context: DistContext = SINGLE_PROCESS
) -> Tensor:
    """Return the features of every clip of `batches`, (clips, D) float32 on every rank.

    Args:
        featuriser: from `load_featuriser`.
        batches: each clip once, its centred crop.
        pause: called between batches; may raise to stop.
        ranks: among whom the clips are divided.
    """
    return predict_logits(extractor, batches, after_batch, dist_context)
