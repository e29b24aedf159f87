"""Owns what a checkpoint belongs to, and telling that it is of another run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamp_schemas.base import Model
from mamp_schemas.errors import CheckpointError
from mamp_schemas.policy import StorePolicyName
from mamp_schemas.recipes import Task
from mamp_trainer.ledger.fields import flatten, show_value

UNTRAINED = "untrained"
"""What stands for an encoder with initial weights."""


class RunIdentity(Model):
    """What a checkpoint belongs to.

    Attributes:
        store_hash: the store's content hash.
        manifest_hash: digest of the split manifest.
        encoder: `UNTRAINED`, or the digest of the encoder's weights that the run was begun with.
        policy: the name of that by which the store's clips were made, for clips that come later; None where it was
            not written down yet. It tells no runs apart: the store's hash does.
    """

    task: Task
    store_hash: str
    manifest_hash: str
    encoder: str
    policy: StorePolicyName | None = None


def check_same_run(path: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Check that a checkpoint is of the same run.

    Args:
        path: the checkpoint's folder, named in errors.
        then: recipe and belonging that the checkpoint was made with, as plain data.
        now: those of the run that is to go on.

    Raises:
        CheckpointError: it is not; names every key of the recipe and every hash that differs.
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
            remedy="Resume with the recipe, store and encoder it was begun with, or begin anew in another folder.",
        )
