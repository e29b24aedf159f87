"""Features of clips: the encoder's output, averaged over bodies, segments and joints; and the file that keeps them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.io.atomic import write_file
from mamp_schemas.models.protocol import Split
from mamp_schemas.models.recipe import Recipe
from mamp_trainer.protocols.evaluate import EvaluationContext, network_measurement, open_run_data, predict_split
from mamp_trainer.protocols.networks import load_feature_extractor


class Features(NamedTuple):
    """Features of clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based; -1 where unknown.
        side: `train` or `test` of each.
        features: (N, D) float32.
    """

    clip: Sequence[str]
    label: NDArray[np.int64]
    side: Sequence[str]
    features: NDArray[np.float32]

    def write_npz(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the four arrays, and each entry of the metadata as an array of one text.

        Raises:
            OutputError: the file cannot be written.
        """
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"clip": np.array(self.clip), "label": self.label, "side": np.array(self.side)}
        arrays |= {"features": self.features, **{name: np.array(text) for name, text in metadata.items()}}
        np.savez(buffer, **arrays)
        write_file(path, buffer.getvalue())


def embed_clips(
    network: Path | None, recipe: Recipe, context: EvaluationContext, splits: Sequence[Split]
) -> tuple[Features, dict[str, str]]:
    """Return the features of clips, and which network made them of which data.

    Args:
        network: the folder of a run of any task or of a checkpoint, a released `.pth` file, or None for initial
            weights.
        recipe: the recipe that it was trained with.
        context: store, device and ranks.
        splits: the splits, in this order.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's and checkpoint's errors.
    """
    extractor = load_feature_extractor(network, recipe)
    data = open_run_data(recipe, context, splits)
    parts = {split: predict_split(extractor, data, split, context, labelled=False) for split in splits}
    features = Features(
        clip=[name for part in parts.values() for name in part.clip],
        label=np.concatenate([part.label.numpy() for part in parts.values()]),
        side=[split for split, part in parts.items() for _ in part.clip],
        features=np.concatenate([part.logits.numpy() for part in parts.values()]),
    )
    made_by = network_measurement(network, extractor, data).model_dump()
    return features, {name: str(value) for name, value in made_by.items()}
