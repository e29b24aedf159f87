"""The network that is exported, the metadata of its file, and the check that the export gives the same numbers."""

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from mamp_schemas.errors import ExportError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.recipe import EvaluationRecipe, Recipe
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.protocols.networks import load_classifier

INPUT, LOGITS, FEATURES = "clips", "logits", "features"


class ExportedNetwork(nn.Module):
    """An encoder with a classification head, or the encoder alone.

    It encodes every body slot, equal ones too: a traced graph cannot skip them, as training does.

    Args:
        encoder: encodes sequences.
        head: from features (N, M, Te, V, D) to logits (N, K); None for the encoder alone.
        classes: K; 0 without a head.
    """

    def __init__(self, encoder: Encoder, head: nn.Module | None = None, classes: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.classes = classes

    @property
    def outputs(self) -> tuple[str, ...]:
        """What `forward` returns, by name."""
        return (FEATURES,) if self.head is None else (LOGITS, FEATURES)

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return logits (N, classes), where there is a head, and features (N, D): means over bodies, segments, joints.

        Args:
            clips: (N, M, T, V, C) float32, metres.
        """
        spec, (_, bodies, *_) = self.encoder.spec, clips.shape
        tokens = torch.unflatten(self.encoder(clips.flatten(0, 1)), 0, (-1, bodies))
        tokens = torch.unflatten(tokens, 2, (spec.segments, spec.joints))
        features = tokens.mean(dim=(1, 2, 3))
        return (features,) if self.head is None else (self.head(tokens), features)


def load_exported_network(source: Path, recipe: Recipe) -> ExportedNetwork:
    """Load a run's classifier, or the encoder of a pre-training.

    Args:
        source: the folder of a run or of a checkpoint, or a released `.pth` file.
        recipe: the recipe that it was trained with.

    Raises:
        CheckpointError: it cannot be read or has another shape.
    """
    if isinstance(recipe, EvaluationRecipe):
        model = load_classifier(source, recipe)
        return ExportedNetwork(model.encoder, model.head, model.classes).eval()
    encoder = Encoder(recipe.model)
    encoder.load_state_dict(load_encoder(source, recipe.model))
    return ExportedNetwork(encoder).eval()


TOLERANCE = 1e-4
"""Largest accepted difference: absolute, or relative to the largest output where that exceeds 1."""

CHECK_BATCH_SIZES = (1, 3)
"""Batch sizes of the check; neither is the size that the network is traced with."""

RunExported = Callable[[Tensor], Sequence[Tensor]]
"""Runs an exported network: from clips to its outputs, in order."""


def synthetic_clips(count: int, bodies: int, frames: int, joints: int, seed: int = 0) -> Tensor:
    """Return synthetic samples (N, M, T, V, 3): random poses of a metre that drift; every other clip has one body."""
    generator = torch.Generator().manual_seed(seed)
    pose = 0.5 * torch.randn(count, bodies, 1, joints, 3, generator=generator)
    clips = pose + 0.02 * torch.randn(count, bodies, frames, joints, 3, generator=generator).cumsum(dim=2)
    clips[::2, 1:] = 0
    return clips


@torch.no_grad()
def check_export(network: ExportedNetwork, run: RunExported, bodies: int, file_name: str) -> float:
    """Compare an exported network with the original on synthetic batches of `CHECK_BATCH_SIZES`.

    Args:
        network: the original.
        run: runs the exported network.
        bodies: M.
        file_name: the file, named in errors.

    Returns:
        The largest difference, absolute or relative as in `TOLERANCE`.

    Raises:
        ExportError: they differ by more than `TOLERANCE`.
    """
    spec, worst = network.encoder.spec, 0.0
    for count in CHECK_BATCH_SIZES:
        clips = synthetic_clips(count, bodies, spec.frames, spec.joints, seed=count)
        for name, expected, got in zip(network.outputs, network(clips), run(clips), strict=True):
            if got.shape != expected.shape:
                raise _mismatch_error(
                    file_name, f"'{name}' has shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
                )
            scale = max(1.0, float(expected.abs().max()))
            difference = float((got - expected).abs().max()) / scale
            if not difference <= TOLERANCE:
                raise _mismatch_error(
                    file_name, f"'{name}' of {count} clips differs by {difference:.1e}, more than {TOLERANCE}"
                )
            worst = max(worst, difference)
    return worst


def _mismatch_error(what: str, problem: str) -> ExportError:
    return ExportError(
        f"{what} would not give the numbers of the model: {problem}; it was not written",
        remedy="Use the versions of constraints.txt; if it stays, export to the other format (.onnx, .pt2).",
    )


def export_metadata(
    network: ExportedNetwork,
    recipe: Recipe,
    spec: DatasetSpec,
    policy: IngestPolicy,
    classes: Sequence[str],
    layout: Layout | None = None,
) -> dict[str, str]:
    """Return the metadata of an exported file: text by name.

    Args:
        network: the network that is exported.
        recipe: the recipe that it was trained with.
        spec: the dataset.
        policy: the policy that the dataset's clips were made by.
        classes: the names of the classes.
        layout: of own recordings.
    """
    model, width = recipe.model, recipe.model.width
    empty_slot = "a copy of the first body" if policy.empty_slot == "copy" else "zeros"
    empty = f" A slot without a body holds {empty_slot}." if spec.bodies > 1 else ""
    metadata = {
        "made_by": f"mampctl {version('mampctl')}",
        "recipe": recipe.name,
        "recipe_hash": recipe.digest(),
        "dataset": spec.title,
        "input": (
            f"{INPUT}: float32 (N, {spec.bodies}, {model.frames}, {model.joints}, 3): clips, bodies, frames, joints, "
            f"x y z in metres. A clip is cleaned as at ingest "
            f"(policy {policy.name}: {_describe_origin(spec, policy)}), cut to "
            f"the middle {recipe.sampling.test_crop:g} of its valid frames, and resized to {model.frames} frames "
            f"(linear, half-pixel centres).{empty}"
        ),
        "features": f"float32 (N, {width}): the encoder's output, mean over bodies, segments and joints",
        "joints": json.dumps(spec.skeleton.joints),
        "preparation": json.dumps(_describe_preparation(recipe, spec, policy, layout)),
    }
    if network.head is None:
        return metadata
    scores = {
        "logits": f"float32 (N, {network.classes}): softmax over classes gives probabilities",
        "classes": json.dumps(list(classes)),
    }
    return metadata | scores


def _describe_preparation(
    recipe: Recipe, spec: DatasetSpec, policy: IngestPolicy, layout: Layout | None
) -> dict[str, object]:
    """Return what programs need to make the network's input from a recording, as docs/using-models.md does.

    `axes` are the coordinates of the recorded files, with their signs, that become x, y (up) and z. `centre` is the
    index of the joint whose position in the first frame is the origin, None for the camera. `crop` is the middle share
    of the frames that is kept, `frames` the number that it is resized to.
    """
    skeleton, centred = spec.skeleton, policy.centre != "none"
    return {
        "skeleton": skeleton.name,
        "joints": skeleton.joints,
        "parents": skeleton.parents,
        "centre": skeleton.centre if centred else None,
        "centre_joint": skeleton.joints[skeleton.centre] if centred else None,
        "units": "metres",
        "file_units": layout.units if layout else "metres",
        "file_units_per_metre": layout.metres_per_unit if layout else 1.0,
        "axes": layout.axes if layout else ("x", "y", "z"),
        "missing": layout.missing if layout else None,
        "bodies": spec.bodies,
        "empty_slot": policy.empty_slot,
        "valid_frames": policy.valid_frames,
        "crop": recipe.sampling.test_crop,
        "frames": recipe.model.frames,
    }


def _describe_origin(spec: DatasetSpec, policy: IngestPolicy) -> str:
    """Return where the origin of a clip's coordinates is."""
    if policy.centre == "none":
        return "the camera's coordinates"
    return f"the origin is the first body's {spec.skeleton.joints[spec.skeleton.centre]} in its first frame"
