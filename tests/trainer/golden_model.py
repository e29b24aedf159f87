"""Reads `golden/model.npz`, the authors' network on synthetic clips in float64; renames weights as they do."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mamp_schemas.models.recipe import ModelSpec

SPEC = ModelSpec(
    frames=24, width=32, depth=2, heads=4, decoder_width=32, decoder_depth=2, decoder_heads=4
)  # fmt: skip
CLASSES = 7
EMBEDDING = "joints_embed.proj.weight"
COORDINATES = 3


@cache
def _arrays() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "golden" / "model.npz") as file:
        return dict(file)


def golden(name: str) -> Tensor:
    return torch.from_numpy(_arrays()[name].copy())


def parameter_names() -> list[str]:
    return [str(name) for name in _arrays()["param_names"]]


def official_weights(case: str = "") -> dict[str, Tensor]:
    """The authors' weights under the authors' names."""
    prefix = f"{case}w/"
    return {name.removeprefix(prefix): golden(name) for name in _arrays() if name.startswith(prefix)}


def clips_NMTVC() -> Tensor:
    return golden("x").permute(0, 4, 2, 3, 1)


def relative_deviation(got: Tensor, want: Tensor) -> float:
    return ((got - want).abs().max() / want.abs().max()).item()


def to_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename our weights to the authors'; the inverse of `from_released`."""
    theirs = {their_name(name): tensor for name, tensor in state.items()}
    segments = torch.unflatten(theirs[EMBEDDING], 1, (-1, COORDINATES))
    theirs[EMBEDDING] = segments.transpose(1, 2).unsqueeze(3).contiguous()
    return theirs


def their_name(name: str) -> str:
    if name == "decoder.mask_token":
        return "mask_token"
    if name.startswith("decoder."):
        return "decoder_" + name.removeprefix("decoder.")
    return name.removeprefix("encoder.")
