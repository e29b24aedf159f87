"""Owns what an exported file says of itself: what to feed it, and what it answers."""

import json
from collections.abc import Sequence
from importlib.metadata import version

from mamp_schemas.datasets import Dataset
from mamp_schemas.policy import EmptySlot
from mamp_schemas.recipes import Recipe
from mamp_trainer.exported.network import INPUT, Exported


def describe(
    network: Exported, recipe: Recipe, spec: Dataset, empty_slot: EmptySlot, classes: Sequence[str]
) -> dict[str, str]:
    """Return what an exported file carries beside the network, all of it text.

    Args:
        network: what is exported.
        recipe: what it was trained by.
        spec: the dataset.
        empty_slot: what a slot without a body holds.
        classes: their names.
    """
    model, width = recipe.model, recipe.model.width
    held = "a copy of the first body" if empty_slot == "copy" else "zeros"
    empty = f" A slot without a body holds {held}." if spec.bodies > 1 else ""
    facts = {
        "made_by": f"mampctl {version('mampctl')}",
        "recipe": recipe.name,
        "recipe_hash": recipe.digest(),
        "dataset": spec.title,
        "input": (
            f"{INPUT}: float32 (N, {spec.bodies}, {model.frames}, {model.joints}, 3): clips, bodies, frames, joints, "
            f"x y z in metres. A clip is cleaned and centred as at ingest, cut to the centred "
            f"{recipe.sampling.test_crop:g} of its valid frames, and resized to {model.frames} frames (linear, "
            f"half-pixel centres).{empty}"
        ),
        "features": f"float32 (N, {width}): the encoder's output, mean over bodies, segments and joints",
        "joints": json.dumps(spec.skeleton.joints),
    }
    if network.head is None:
        return facts
    scores = {
        "logits": f"float32 (N, {network.head.classes}): softmax over classes gives probabilities",
        "classes": json.dumps(list(classes)),
    }
    return facts | scores
