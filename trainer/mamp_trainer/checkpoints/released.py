"""Read the weights of the authors' code and of code derived from it, and translate their parameter names.

Theirs are those of the release (`blocks.0…`, `decoder_blocks.0…`, `mask_token`, `head…`); ours are those of
`MAMP` (`encoder.…`, `decoder.…`) and `Classifier` (`encoder.…`, `head.…`). Other code saves the same weights under
another key than 'model', or with a prefix such as `module.`: the tensor of the embedding shows where they are.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from mamp_schemas.errors import CheckpointError, is_nul
from mamp_schemas.io.regular_files import CHECKPOINT_BYTES, read_regular
from mamp_schemas.io.safe_pickle import PickledArray
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.checkpoints.torch_file import TORCH_FILE_ERRORS, read_torch_file
from mamp_trainer.models.mamp import COORDINATES

logger = logging.getLogger(__name__)

_EMBEDDING = "joints_embed.proj.weight"

_RELEASED_KEY, _ENCODER = "model", "encoder."


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


def load_released(source: Path | Mapping[str, Tensor], *, tell: bool = True) -> dict[str, Tensor]:
    """Return released weights under our names; `load_exact` checks whether they fit a model.

    Args:
        source: a file of `torch.save` or of safetensors, or weights under the authors' names.
        tell: log where in the file the weights are, if not where the authors have them, and what was left out.

    Raises:
        CheckpointError: the file cannot be read, needs more than tensors and plain data, or holds no weights of this
            network, or those of several.
    """
    if isinstance(source, Path):
        return _rename(source, _choose_weights(source, _read_file(source)), tell)
    _check_embedding(source, "released weights")
    return from_released(source)


def model_settings(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the settings of `ModelSpec` that the encoder's tensors show, as far as they are of its form.

    Args:
        weights: under our names.
    """
    kernel, position = weights.get(f"{_ENCODER}{_EMBEDDING}"), weights.get(f"{_ENCODER}pos_embed")
    time, hidden = weights.get(f"{_ENCODER}temp_embed"), weights.get(f"{_ENCODER}blocks.0.mlp.fc1.weight")
    if kernel is None or kernel.dim() != 2 or not kernel.numel():
        return {}
    settings = {"width": kernel.shape[0], "segment": kernel.shape[1] // COORDINATES}
    if position is not None and position.dim() == 4:
        settings["joints"] = position.shape[2]
    if time is not None and time.dim() == 4:
        settings["frames"] = time.shape[1] * settings["segment"]
    if hidden is not None and hidden.dim() == 2:
        settings["mlp_ratio"] = hidden.shape[0] // kernel.shape[0]
    blocks = {name.split(".")[2] for name in weights if name.startswith(f"{_ENCODER}blocks.")}
    return settings | {"depth": len(blocks)}


def describe_settings(weights: Mapping[str, Tensor], spec: ModelSpec) -> str:
    """Return what to set in a recipe so that weights under our names fit; empty if their tensors do not show it."""
    found = model_settings(weights)
    if found.get("segment") == spec.segment:
        found.pop("frames", None)  # another length is interpolated
    differing = [f"model.{key}={value}" for key, value in found.items() if value not in (0, getattr(spec, key))]
    if not differing:
        return ""
    heads = "" if found["width"] % spec.heads == 0 else " model.heads, which no tensor shows, must divide the width."
    return (
        f"Its tensors are those of {', '.join(differing)}: set these in the recipe "
        f"(when training: {' '.join(f'--set {setting}' for setting in differing)}).{heads}"
    )


class _Weights(NamedTuple):
    """Weights in a file.

    Attributes:
        key: where they are, keys joined by dots; empty for the whole file.
        prefix: before the authors' names of the encoder's tensors.
        tensors: by name, of which not all need to be the network's.
    """

    key: str
    prefix: str
    tensors: Mapping[str, Tensor]

    def __str__(self) -> str:
        return f"'{self.key[:80]}' with the prefix '{self.prefix[:80]}'"


def _our_name(name: str) -> str:
    if name.startswith("head."):
        return name
    if name == "mask_token":
        return "decoder.mask_token"
    if name.startswith("decoder_"):
        return "decoder." + name.removeprefix("decoder_")
    return _ENCODER + name


def _choose_weights(path: Path, content: object) -> _Weights:
    """Return the weights of a file: the only ones, or those where the authors have theirs.

    Raises:
        CheckpointError: there are none, or several elsewhere.
    """
    found = list(_find_weights(content))
    if not found:
        raise CheckpointError(
            f"{path}: holds no weights of this network: no tensor '{_EMBEDDING}' under any prefix; "
            f"found {_describe(content)}",
            remedy="Give a run, or a file whose tensors have the names of the authors' release, "
            "as a dictionary of them or with that dictionary under 'model'.",
        )
    for key in (_RELEASED_KEY, ""):
        same_key = [weights for weights in found if weights.key == key] or found
        found = [weights for weights in same_key if not weights.prefix] or same_key
    if len(found) == 1:
        return found[0]
    keys = "".join(f"[{part!r}]" for part in found[0].key.split(".") if part)
    raise CheckpointError(
        f"{path}: holds the weights of {len(found)} networks: {'; '.join(map(str, found[:8]))}",
        remedy="Save those of one and load that file. For the first, in Python: "
        f"import torch; saved = torch.load({str(path)!r}, map_location='cpu', weights_only=True){keys}; "
        f"prefix = {found[0].prefix!r}; torch.save({{name[len(prefix):]: tensor for name, tensor in saved.items() "
        "if name.startswith(prefix)}, 'weights.pth')",
    )


def _find_weights(content: object) -> Iterator[_Weights]:
    """Yield the weights in nested dictionaries, at most three deep: wherever there is a tensor of the embedding."""
    level: list[tuple[str, object]] = [("", content)]
    seen = set()
    for _ in range(4):
        below: list[tuple[str, object]] = []
        for key, value in level:
            if not isinstance(value, dict) or id(value) in seen:
                continue
            seen.add(id(value))
            tensors = {name: item for name, item in value.items() if isinstance(name, str) and isinstance(item, Tensor)}
            for name in tensors:
                if name == _EMBEDDING or name.endswith(f".{_EMBEDDING}"):
                    yield _Weights(key, name.removesuffix(_EMBEDDING), tensors)
            below += [(f"{key}.{name}" if key else str(name)[:80], item) for name, item in value.items()]
        level = below


def _rename(path: Path, weights: _Weights, tell: bool) -> dict[str, Tensor]:
    """Return weights of a file under our names, without a prefix; those outside it are left out."""
    prefix, kernel = weights.prefix, weights.tensors[weights.prefix + _EMBEDDING]
    outer = prefix.removesuffix(_ENCODER)
    theirs, ours, left = {}, {}, []
    for name, tensor in weights.tensors.items():
        if name.startswith(prefix):
            theirs[name.removeprefix(prefix)] = tensor
        elif name.startswith((f"{outer}decoder.", f"{outer}head.")):
            ours[name.removeprefix(outer)] = tensor
        else:
            left.append(name)
    if outer != prefix and kernel.dim() == 2:  # weights that were saved here, under our names already
        renamed = {f"{_ENCODER}{name}": tensor for name, tensor in theirs.items()} | ours
    else:
        _check_embedding(theirs, str(path))
        renamed = {**ours, **from_released(theirs)}
    for name, tensor in renamed.items():
        _check_tensor(path, name, tensor)
    if tell and (prefix or weights.key != _RELEASED_KEY):
        where = f"under '{weights.key[:80]}'" if weights.key else "at the top of the file"
        without = f", and left the prefix '{prefix[:80]}' out of their names" if prefix else ""
        logger.info(f"{path}: found the weights {where}{without}")
    rounded = [name for name, tensor in renamed.items() if tensor.dtype == torch.float64 and not _is_float32(tensor)]
    if tell and rounded:
        logger.warning(
            f"{path}: {len(rounded)} tensors are rounded from float64 to float32, the first is {rounded[0]!r}"
        )
    if tell and left:
        logger.warning(f"{path}: {len(left)} tensors are not read: they have another prefix, the first is {left[0]!r}")
    return renamed


def _is_float32(tensor: Tensor) -> bool:
    return torch.equal(tensor.to(torch.float32).to(tensor.dtype), tensor)


def _check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        if not name.startswith((_ENCODER, "decoder.")):
            return  # the count of batches of a classifier's normalisation
        raise CheckpointError(
            f"{path}: '{name}' is of type {tensor.dtype}, expected floating-point numbers",
            remedy="Give weights that are not quantised.",
        )
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"{path}: '{name}' has numbers that are not finite: its training diverged, or the file is damaged",
            remedy="Give an earlier checkpoint of that training, or fetch the file again.",
        )


def _read_file(path: Path) -> object:
    try:
        content = read_regular(path, CHECKPOINT_BYTES)
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror}", remedy="Check the path.") from None
    if path.suffix in (".yaml", ".yml"):
        raise CheckpointError(
            f"{path}: a YAML file, such as a recipe or a layout, not a trained network",
            remedy="Name a run's folder, one of its checkpoints, or a released .pth file; recipes go to --recipe.",
        )
    if is_nul(content):
        raise CheckpointError(
            f"{path}: the file is full of NUL bytes: a damaged download", remedy="Fetch the file again."
        )
    try:
        return safetensors.torch.load(content) if path.suffix == ".safetensors" else read_torch_file(content)
    except UnpicklingError as problem:
        raise CheckpointError(
            f"{path}: refused: {problem}; only tensors, plain data and common settings are read",
            remedy="Anything else can run code. If you trust the file, load it with the code that wrote it, and "
            "save its weights alone: torch.save(model.state_dict(), 'weights.pth')",
        ) from None
    except (*TORCH_FILE_ERRORS, SafetensorError) as problem:
        raise CheckpointError(
            f"{path}: not a checkpoint, or damaged ({type(problem).__name__}: {str(problem)[:200]})",
            remedy="Name a run, or a file of torch.save or safetensors; if it is one, fetch the file again.",
        ) from None


def _describe(content: object) -> str:
    """Describe what a file holds: the keys of its dictionary, and the shapes of tensors."""
    if isinstance(content, Tensor):
        return f"tensor {tuple(content.shape)}"
    if isinstance(content, PickledArray) and content.values is not None:
        return f"numpy array {content.values.shape}"
    if not isinstance(content, dict):
        return type(content).__name__
    parts = []
    for key, value in list(content.items())[:6]:
        first = next(iter(value.items()), None) if isinstance(value, dict) else None
        if first is None:
            what = _describe(value)
        else:
            inner = "dictionary" if isinstance(first[1], dict) else _describe(first[1])
            what = f"dictionary of {len(value)}, the first is {first[0]!r:.80}: {inner}"
        parts.append(f"{key!r:.80}: {what}")
    more = f" and {len(content) - len(parts)} more" if len(content) > len(parts) else ""
    return ("; ".join(parts) or "an empty dictionary") + more


def _check_embedding(weights: Mapping[str, Tensor], where: str) -> None:
    kernel = weights.get(_EMBEDDING)
    if kernel is None or kernel.dim() != 4 or kernel.shape[1::2] != (COORDINATES, 1):
        got = "no such tensor" if kernel is None else f"shape {tuple(kernel.shape)}"
        raise CheckpointError(
            f"{where}: {_EMBEDDING}: got {got}, expected shape (width, {COORDINATES}, segment, 1)",
            remedy="Give weights under the names of the authors' release.",
        )
