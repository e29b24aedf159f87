"""Load weights into networks: every tensor must be there, no other, and each in its shape."""

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from mamp_schemas.builtin import DEFAULT_OBJECTIVE
from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.run_files import latest_checkpoint
from mamp_schemas.models.recipe import PRETRAIN, ModelSpec
from mamp_schemas.registry import OBJECTIVES
from mamp_trainer.checkpoints.files import Checkpoint, is_checkpoint, read_checkpoint
from mamp_trainer.checkpoints.released import describe_settings, load_released, resize_segments
from mamp_trainer.models.mamp import Encoder

logger = logging.getLogger(__name__)


ENCODER_PREFIX = "encoder."
"""Where the encoder is in released files, in classifiers, and in what most objectives train."""

_TEMPORAL = "encoder.temp_embed"


def load_exact(module: nn.Module, weights: Mapping[str, Tensor], source: str, remedy: str = "") -> None:
    """Load weights into a module.

    Args:
        module: the network.
        weights: its state, by name.
        source: where they come from, named in errors.
        remedy: what to do if they do not fit; by default, to use the recipe that they were trained by.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape; nothing is loaded.
    """
    expected = module.state_dict()
    mismatch = partial(_mismatch_error, source, remedy=remedy)
    if missing := [name for name in expected if name not in weights]:
        raise mismatch(f"{len(missing)} tensors are missing, the first is '{missing[0]}'")
    if unknown := [name for name in weights if name not in expected]:
        raise mismatch(f"{len(unknown)} tensors are not the model's, the first is '{unknown[0]}'")
    for name, tensor in expected.items():
        if weights[name].shape != tensor.shape:
            got, wanted = tuple(weights[name].shape), tuple(tensor.shape)
            raise mismatch(f"'{name}' has shape {got}, the recipe's model expects {wanted}")
        if weights[name].is_floating_point() != tensor.is_floating_point() or weights[name].is_complex():
            raise _mismatch_error(source, f"'{name}' holds {weights[name].dtype}, the model expects {tensor.dtype}")
    module.load_state_dict(dict(weights))


def load_encoder(source: Path, spec: ModelSpec) -> dict[str, Tensor]:
    """Read the encoder's weights from what a pre-training left.

    The temporal embedding of a released file is brought to the recipe's number of segments, with a warning: the
    encoder was never trained at that length.

    Args:
        source: a run's folder (its latest checkpoint), a checkpoint's folder, or a released `.pth` file.
        spec: the shape the encoder must have.

    Returns:
        The state of `Encoder(spec)`, on the CPU.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or its encoder has another shape.
    """
    remedy = ""
    if source.is_file():
        weights, prefix = fit_temporal_embedding(load_released(source), spec, source), ENCODER_PREFIX
        remedy = describe_settings(weights, spec)
    else:
        saved = read_checkpoint(resolve_checkpoint(source))
        _check_encoder_settings(saved, spec)
        weights, prefix = saved.weights, _encoder_prefix(saved)
    encoder = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    load_exact(Encoder(spec), encoder, str(source), remedy)
    return encoder


def _encoder_prefix(saved: Checkpoint) -> str:
    """Return where in a checkpoint's weights the encoder is that evaluations load: its objective says so."""
    if saved.recipe["kind"] != PRETRAIN:
        return ENCODER_PREFIX
    prefix: str = OBJECTIVES.get(saved.recipe.get("objective", DEFAULT_OBJECTIVE)).encoder_prefix
    return prefix


def fit_temporal_embedding(weights: dict[str, Tensor], spec: ModelSpec, source: Path) -> dict[str, Tensor]:
    """Interpolate the temporal embedding of a released file to the recipe's number of segments, with a warning.

    Args:
        weights: under our names.
        spec: the shape that the encoder is to have.
        source: the file, named in the warning.
    """
    embedding = weights.get(_TEMPORAL)
    if embedding is None or embedding.dim() != 4 or embedding.shape[1] == spec.segments:
        return weights
    if not embedding.numel() or embedding.shape != (1, embedding.shape[1], 1, spec.width):
        return weights
    logger.warning(
        f"{source} was trained at {embedding.shape[1]} segments, model.frames / model.segment are "
        f"{spec.segments}: its temporal embedding is interpolated"
    )
    return {**weights, _TEMPORAL: resize_segments(embedding, spec.segments)}


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the sha256 of named tensors: equal for equal names, shapes and values."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


def resolve_checkpoint(source: Path) -> Path:
    """Return a checkpoint that the user names, or the latest one of a run that the user names.

    Raises:
        CheckpointError: there is none.
    """
    if is_checkpoint(source):
        return source
    folder = latest_checkpoint(source)
    if folder is None:
        is_store = (source / "zarr.json").is_file()
        what = "a store of clips, not a run" if is_store else "no checkpoint is in this folder"
        if not source.is_dir():
            what = "neither a folder nor an ordinary file"
        raise CheckpointError(
            f"{source}: {what}" if source.exists() else f"no such run or checkpoint: {source}",
            remedy="Name a run (`mampctl runs list` shows them), one of its checkpoints, or a released .pth file.",
        )
    return folder


def _check_encoder_settings(saved: Checkpoint, spec: ModelSpec) -> None:
    """Compare settings that no tensor's shape shows: the number of attention heads, and the encoder's input."""
    model = saved.recipe["model"]
    if model["heads"] != spec.heads:
        raise _mismatch_error(
            str(saved.path),
            f"its encoder has {model['heads']} attention heads, the recipe's model.heads is {spec.heads}",
        )
    seen = model.get("input", "joint")  # older recipes know nothing else
    if seen != spec.input:
        raise _mismatch_error(str(saved.path), f"its encoder saw model.input {seen}, the recipe's is {spec.input}")


def _mismatch_error(source: str, problem: str, remedy: str = "") -> CheckpointError:
    return CheckpointError(
        f"{source} does not fit: {problem}",
        remedy=remedy or "Use the recipe whose model the checkpoint was trained with.",
    )
