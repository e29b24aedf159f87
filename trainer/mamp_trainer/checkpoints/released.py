"""Read the authors' released checkpoints safely, and translate their parameter names.

Theirs are those of the release (`blocks.0…`, `decoder_blocks.0…`, `mask_token`, `head…`); ours are those of
`MAMP` (`encoder.…`, `decoder.…`) and `Classifier` (`encoder.…`, `head.…`).
"""

import argparse
import io
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.regular_files import CHECKPOINT_BYTES, read_regular
from mamp_trainer.models.mamp import COORDINATES

_EMBEDDING = "joints_embed.proj.weight"
_LOAD_ERRORS = (
    AssertionError, AttributeError, EOFError, LookupError, OSError, OverflowError, RuntimeError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""Errors that torch.load raises, besides its own refusals, for files that are truncated, altered or no checkpoints."""


def from_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the authors' weights to ours; the embedding's (D, C, l, 1) kernel becomes a (D, l·C) matrix."""
    ours = {_our_name(name): tensor for name, tensor in weights.items()}
    ours[_our_name(_EMBEDDING)] = weights[_EMBEDDING].transpose(1, 2).flatten(1)
    return ours


def resize_segments(embedding: Tensor, segments: int) -> Tensor:
    """Interpolate a temporal embedding to another number of segments, as the authors do: bicubic, half-pixel centres.

    Args:
        embedding: (1, Te, 1, D).
        segments: the new number of segments.
    """
    along_time = embedding.permute(0, 3, 1, 2)
    return F.interpolate(along_time, size=(segments, 1), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def load_released(source: Path | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return released weights under our names; `load_exact` checks whether they fit a model.

    Args:
        source: a released `.pth` file, or weights under the authors' names.

    Raises:
        CheckpointError: the file cannot be read, needs more than tensors and an `argparse.Namespace`, or
            holds no weights of this network.
    """
    if isinstance(source, Path):
        weights, where = _read_weights(source), str(source)
    else:
        weights, where = source, "released weights"
    _check_embedding(weights, where)
    return from_released(weights)


def _our_name(name: str) -> str:
    if name.startswith("head."):
        return name
    if name == "mask_token":
        return "decoder.mask_token"
    if name.startswith("decoder_"):
        return "decoder." + name.removeprefix("decoder_")
    return "encoder." + name


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    content = _unpickle(path)
    weights = content.get("model") if isinstance(content, dict) else None
    if isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        return weights
    raise CheckpointError(
        f"{path}: expected a dictionary with the weights under 'model'",
        remedy="Give a checkpoint as the authors release them.",
    )


def _unpickle(path: Path) -> object:
    try:
        file = io.BytesIO(read_regular(path, CHECKPOINT_BYTES))
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror}", remedy="Check the path.") from None
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: anything unknown is refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise _unsafe_pickle_error(path, problem) from None
    except _LOAD_ERRORS as problem:
        raise CheckpointError(
            f"{path}: not a checkpoint, or damaged ({type(problem).__name__}: {problem})",
            remedy="Fetch the file again.",
        ) from None


def _unsafe_pickle_error(path: Path, problem: pickle.UnpicklingError) -> CheckpointError:
    needed = re.search(r"GLOBAL (\S+)", str(problem))
    what = f"unpickling it needs {needed[1]}" if needed else "it is not a pickle that can be read safely"
    return CheckpointError(
        f"{path}: refused: {what}; only tensors, plain data and argparse.Namespace are read",
        remedy="Loading anything else can run code. Save the weights alone and load those.",
    )


def _check_embedding(weights: Mapping[str, Tensor], where: str) -> None:
    kernel = weights.get(_EMBEDDING)
    if kernel is None or kernel.dim() != 4 or kernel.shape[1::2] != (COORDINATES, 1):
        got = "no such tensor" if kernel is None else f"shape {tuple(kernel.shape)}"
        raise CheckpointError(
            f"{where}: {_EMBEDDING}: got {got}, expected shape (width, {COORDINATES}, segment, 1)",
            remedy="Give weights under the names of the authors' release.",
        )
