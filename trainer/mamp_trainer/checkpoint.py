"""Owns checkpoints: writing them whole, finding the latest, reading them back and checking that they fit.

RUN/checkpoints/step-00001234/ holds `model.safetensors` (weights), `state.pt` (optimiser, position, losses),
`recipe.json` (the resolved recipe) and `meta.json` (what the others belong to, and their digests).
"""

import hashlib
import io
import json
import pickle
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mamp_schemas.base import Model, canonical_json, read_json
from mamp_schemas.errors import CheckpointError
from mamp_schemas.recipes import Recipe
from mamp_trainer.belonging import Belonging
from mamp_trainer.output import PARTIAL, write_folder

FORMAT_VERSION: Literal[1] = 1
KEPT = 2
"""How many checkpoints of a run are kept: the latest, and one before it in case that is damaged."""

_FOLDER = "checkpoints"
_NAME = re.compile(r"step-\d{8}")
_WEIGHTS, _STATE, _RECIPE, _META = "model.safetensors", "state.pt", "recipe.json", "meta.json"


class Meta(Model):
    """The content of `meta.json`; `files` holds the sha256 of the files beside it."""

    format_version: Literal[1]
    step: int
    belonging: Belonging
    files: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory, tensors on the CPU."""

    path: Path
    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    recipe: dict[str, Any]
    belonging: Belonging


def save(
    run: Path, step: int, module: nn.Module, state: Mapping[str, Any], recipe: Recipe, belonging: Belonging
) -> Path:
    """Write a checkpoint, then remove all but the last `KEPT` ones.

    Args:
        run: the run's folder.
        step: optimiser steps done.
        module: whose weights are kept.
        state: plain data and tensors, as `torch.load(weights_only=True)` admits.
        recipe: the run's resolved recipe.
        belonging: what the checkpoint belongs to.

    Raises:
        OutputError: it cannot be written; the earlier checkpoints stay.
    """
    weights = {name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    files = {
        _WEIGHTS: safetensors.torch.save(weights),
        _STATE: buffer.getvalue(),
        _RECIPE: canonical_json(recipe.model_dump(mode="json")),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    meta = Meta(format_version=FORMAT_VERSION, step=step, belonging=belonging, files=digests)
    folder = run / _FOLDER / f"step-{step:08d}"
    write_folder(folder, {**files, _META: canonical_json(meta.model_dump(mode="json"))})
    for older in (*_folders(run)[:-KEPT], *folder.parent.glob(f".*{PARTIAL}")):
        shutil.rmtree(older)
    return folder


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder is a checkpoint's, readable or not."""
    return (folder / _META).is_file()


def latest(run: Path) -> Path | None:
    """Return the folder of a run's latest checkpoint, None before the first."""
    folders = _folders(run)
    return folders[-1] if folders else None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: its folder.

    Raises:
        CheckpointError: a file is missing or damaged; names it.
    """
    meta = read_json(Meta, _read(path / _META), str(path / _META), CheckpointError)
    content = {name: _read(path / name, digest) for name, digest in meta.files.items()}
    try:
        return Checkpoint(
            path=path,
            step=meta.step,
            weights=safetensors.torch.load(content[_WEIGHTS]),
            state=torch.load(io.BytesIO(content[_STATE]), map_location="cpu", weights_only=True),
            recipe=json.loads(content[_RECIPE]),
            belonging=meta.belonging,
        )
    except (KeyError, SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError) as problem:
        raise _damaged(path, str(problem)) from problem


def _folders(run: Path) -> list[Path]:
    folder = run / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


def _read(path: Path, digest: str | None = None) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise _damaged(path, problem.strerror or str(problem)) from problem
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, f"its sha256 is not {digest[:16]}…, the one written with the checkpoint")
    return content


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {path} cannot be read: {reason}",
        remedy="Remove this checkpoint's folder to go on from the one before it.",
    )
