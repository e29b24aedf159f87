"""The files of a checkpoint, written whole and read back, and the identity of the run that it belongs to.

RUN/checkpoints/step-00001234/ holds `model.safetensors` (weights), `state.pt` (optimiser, position, losses),
`recipe.json` (the resolved recipe) and `meta.json` (what the others belong to, and their digests).
"""

import hashlib
import io
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal, Self

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.atomic import write_folder
from mamp_schemas.io.regular_files import CHECKPOINT_BYTES, read_regular
from mamp_schemas.io.run_files import (
    CHECKPOINTS_FOLDER,
    META_FILE,
    RECIPE_FILE,
    WEIGHTS_FILE,
    checkpoint_name,
    is_checkpoint_name,
    list_checkpoints,
    read_recipe_data,
)
from mamp_schemas.models.base import Model, canonical_json
from mamp_schemas.models.differences import flatten, show_value
from mamp_schemas.models.plain_data import load_json
from mamp_schemas.models.policy import StorePolicyName
from mamp_schemas.models.recipe import EXECUTION_FIELDS, Recipe
from mamp_schemas.models.sealed import dump_sealed_json, parse_sealed_json
from mamp_trainer.checkpoints.torch_file import TORCH_FILE_ERRORS, read_torch_file


class RunIdentity(Model):
    """The identity of the run that a checkpoint belongs to.

    Attributes:
        store_hash: the store's content hash.
        manifest_hash: digest of the split manifest.
        encoder: `UNTRAINED`, or the digest of the encoder's weights that the run was begun with.
        policy: the ingest policy of the store's clips, so that later clips can be ingested alike; None in checkpoints
            that do not record it. It does not distinguish runs: the store's hash does.
    """

    task: str
    store_hash: str
    manifest_hash: str
    encoder: str
    policy: StorePolicyName | None = None


def check_same_run(
    path: Path,
    saved: Mapping[str, Any],
    current: Mapping[str, Any],
    remedy: str = "Resume with the recipe, store and encoder it was begun with, or begin anew in another folder.",
) -> None:
    """Check that a checkpoint is of the same run.

    Args:
        path: the checkpoint's folder, named in errors.
        saved: the checkpoint's recipe and run identity, as plain data.
        current: the same of the run that it is to belong to.
        remedy: what to do if it is of another run.

    Raises:
        CheckpointError: it is of another run; names every key of the recipe and every hash that differs.
    """
    before, after = flatten(saved), flatten(current)
    differing = [
        f"  {key}: {show_value(before.get(key))} then, {show_value(after.get(key))} now"
        for key in sorted(before | after)
        if before.get(key) != after.get(key)
    ]
    if differing:
        raise CheckpointError(
            "\n".join([f"{path} is of another run:", *differing]),
            remedy=remedy,
        )


FORMAT_VERSION: Literal[2] = 2

_STATE, _RECIPE = "state.pt", "recipe.json"


class CheckpointMeta(Model):
    """The content of `meta.json`, which carries its digest.

    Attributes:
        step: optimiser steps done.
        measure: the monitored metric of the epoch that the checkpoint closes, the higher the better; None in the
            middle of an epoch.
        epoch: the epoch that the checkpoint closes, counted from 1; None in the middle of one.
        kept: whether later checkpoints leave it where it is.
        files: the sha256 of the files beside it.
    """

    format_version: Literal[2]
    step: int
    measure: float | None = None
    epoch: int | None = None
    kept: bool = False
    identity: RunIdentity
    files: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory, tensors on the CPU."""

    path: Path
    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    recipe: dict[str, Any]
    identity: RunIdentity


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint, in host memory that training does not touch.

    Attributes:
        step: optimiser steps done.
        weights: by name.
        state: plain data and tensors, as `torch.load(weights_only=True)` reads them.
        recipe: the run's resolved recipe.
        identity: of the run.
        measure, epoch: as in `CheckpointMeta`.
    """

    step: int
    weights: Mapping[str, Tensor]
    state: Mapping[str, Any]
    recipe: Recipe
    identity: RunIdentity
    measure: float | None = None
    epoch: int | None = None

    @classmethod
    def take(
        cls,
        step: int,
        module: nn.Module,
        state: Mapping[str, Any],
        recipe: Recipe,
        identity: RunIdentity,
        measure: float | None = None,
        epoch: int | None = None,
    ) -> Self:
        """Copy weights and state, which training goes on to change; waits for the device."""
        weights, rest = _to_host_copy(module.state_dict()), _to_host_copy(dict(state))
        return cls(step, weights, rest, recipe, identity, measure, epoch)


def write_checkpoint(folder: Path, snapshot: Snapshot) -> None:
    """Write a checkpoint's folder, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(snapshot.state), buffer)
    files = {
        WEIGHTS_FILE: safetensors.torch.save(dict(snapshot.weights)),
        _STATE: buffer.getvalue(),
        _RECIPE: canonical_json(snapshot.recipe.model_dump(mode="json")),
    }
    meta = CheckpointMeta(
        format_version=FORMAT_VERSION,
        step=snapshot.step,
        measure=snapshot.measure,
        epoch=snapshot.epoch,
        kept=snapshot.epoch is not None and snapshot.recipe.keeps(snapshot.epoch),
        identity=snapshot.identity,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    write_folder(folder, {**files, META_FILE: dump_sealed_json(meta)})


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder is a checkpoint's, readable or not."""
    return (folder / META_FILE).is_file()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: its folder.

    Raises:
        CheckpointError: a file is missing or damaged; names it.
    """
    meta = read_meta(path)
    content = {name: _read_verified(path / name, digest) for name, digest in meta.files.items()}
    with _naming(path / WEIGHTS_FILE):
        weights = safetensors.torch.load(content[WEIGHTS_FILE])
    with _naming(path / _STATE):
        state = _read_mapping(read_torch_file(content[_STATE]), ())
    with _naming(path / _RECIPE):
        recipe = _read_mapping(load_json(content[_RECIPE]), ("kind", "dataset", "protocol", "model"))
        _read_mapping(recipe["model"], ("heads",))
    _check_settings(path, recipe)
    return Checkpoint(path, meta.step, weights, state, recipe, meta.identity)


def _check_settings(path: Path, recipe: Mapping[str, Any]) -> None:
    """Check that a checkpoint in a run's folder was trained by the recipe beside it.

    Raises:
        CheckpointError: it was not: it is of another run.
    """
    run = path.absolute().parent.parent
    if path.absolute().parent.name != CHECKPOINTS_FOLDER or not (run / RECIPE_FILE).is_file():
        return
    settings = read_recipe_data(run)
    saved, current = (
        {key: value for key, value in data.items() if key not in EXECUTION_FIELDS} for data in (recipe, settings)
    )
    check_same_run(path, saved, current, f"Bring back the checkpoint that {run} has written, or train it again.")


def _read_mapping(value: object, keys: Collection[str]) -> dict[str, Any]:
    if not (isinstance(value, dict) and all(isinstance(key, str) for key in value)):
        raise ValueError(f"expected a dictionary, got a {type(value).__name__}")
    if missing := [key for key in keys if key not in value]:
        raise ValueError(f"has no {', '.join(missing)}")
    return value


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what readers raise for a file that is not what it should be into an error that names it."""
    try:
        yield
    except (*TORCH_FILE_ERRORS, SafetensorError, UnpicklingError) as problem:
        raise damaged_error(path, str(problem)[:200]) from problem


def read_meta(path: Path) -> CheckpointMeta:
    """Read the `meta.json` of a checkpoint.

    Raises:
        CheckpointError: it is missing or damaged, or was changed since it was written.
    """
    file = path / META_FILE
    meta = parse_sealed_json(CheckpointMeta, _read_verified(file), str(file), CheckpointError, _remedy(file))
    if set(meta.files) != {WEIGHTS_FILE, _STATE, _RECIPE}:  # it must not choose which files are read
        raise damaged_error(file, f"it names the files {', '.join(map(repr, sorted(meta.files)[:4]))}")
    if is_checkpoint_name(path.name) and path.name != checkpoint_name(meta.step):
        raise damaged_error(file, f"it is of step {meta.step}: its folder was {checkpoint_name(meta.step)}")
    return meta


def _to_host_copy(value: Any) -> Any:
    """Copy nested data, its tensors to host memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {key: _to_host_copy(item) for key, item in value.items()}
    return [_to_host_copy(item) for item in value] if isinstance(value, list) else value


def _read_verified(path: Path, digest: str | None = None) -> bytes:
    try:
        content = read_regular(path, CHECKPOINT_BYTES)
    except OSError as problem:
        raise damaged_error(path, problem.strerror or str(problem)) from problem
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise damaged_error(path, f"its sha256 is not {digest[:16]}…, the one written with the checkpoint")
    return content


def damaged_error(path: Path, reason: str) -> CheckpointError:
    """Return the error for a checkpoint, or one of its files, that cannot be used."""
    return CheckpointError(f"checkpoint {path} cannot be read: {reason}", remedy=_remedy(path))


def _remedy(path: Path) -> str:
    """Return what to do about a checkpoint, or one of its files, that cannot be used."""
    folder = path if path.parent.name == CHECKPOINTS_FOLDER else path.parent
    if any(other.name < folder.name for other in list_checkpoints(folder.parent.parent)):
        return "Remove this checkpoint's folder to continue from the one before it."
    return "There is no checkpoint before it. Bring the file back, or train again in another folder."
