"""Owns what an exported file says of itself: what to feed it, and what it answers."""

import json
from collections.abc import Sequence
from importlib.metadata import version

from mamp_schemas.datasets import DatasetSpec
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.recipes import Recipe
from mamp_trainer.exported.network import INPUT, ExportedNetwork


def export_metadata(
    network: ExportedNetwork, recipe: Recipe, spec: DatasetSpec, policy: IngestPolicy, classes: Sequence[str]
) -> dict[str, str]:
    """Return what an exported file carries beside the network, all of it text.

    Args:
        network: what is exported.
        recipe: what it was trained by.
        spec: the dataset.
        policy: how its clips were made.
        classes: their names.
    """
    model, width = recipe.model, recipe.model.width
    held = "a copy of the first body" if policy.empty_slot == "copy" else "zeros"
    empty = f" A slot without a body holds {held}." if spec.bodies > 1 else ""
    facts = {
        "made_by": f"mampctl {version('mampctl')}",
        "recipe": recipe.name,
        "recipe_hash": recipe.digest(),
        "dataset": spec.title,
        "input": (
            f"{INPUT}: float32 (N, {spec.bodies}, {model.frames}, {model.joints}, 3): clips, bodies, frames, joints, "
            f"x y z in metres. A clip is cleaned as at ingest (policy {policy.name}: {_describe_origin(spec, policy)}), cut to "
            f"the middle {recipe.sampling.test_crop:g} of its valid frames, and resized to {model.frames} frames "
            f"(linear, half-pixel centres).{empty}"
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


def _describe_origin(spec: DatasetSpec, policy: IngestPolicy) -> str:
    """Say where the coordinates of a clip begin."""
    if policy.centre == "none":
        return "the camera's coordinates"
    return f"the origin is the first body's {spec.skeleton.joints[spec.skeleton.centre]} in its first frame"
