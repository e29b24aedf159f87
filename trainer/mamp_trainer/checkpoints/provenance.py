"""What a network was trained by and on: its checkpoint says so or, for released files, the user."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mamp_schemas.builtin import BASE_RECIPE
from mamp_schemas.errors import UsageError
from mamp_schemas.models.base import digest_dumped
from mamp_schemas.models.policy import PolicyName
from mamp_schemas.models.recipe import PRETRAIN, Recipe, parse_recipe
from mamp_schemas.models.results import EncoderProvenance
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.checkpoints.files import read_checkpoint, read_meta
from mamp_trainer.checkpoints.load import resolve_checkpoint
from mamp_trainer.checkpoints.released import load_released
from mamp_trainer.recipes import load_recipe


class EncoderTraining(NamedTuple):
    """What an encoder was trained for and on."""

    kind: str
    dataset: str
    protocol: str


def read_training(source: Path) -> EncoderTraining | None:
    """Return what an encoder was last trained for and on; None for released files, which do not say.

    Linear evaluation trains no encoder, but its runs do not say what did.
    """
    if source.is_file():
        return None
    recipe = read_checkpoint(resolve_checkpoint(source)).recipe
    return EncoderTraining(recipe["kind"], recipe["dataset"], recipe["protocol"])


def encoder_provenance(source: Path, weights: str) -> EncoderProvenance:
    """Return where an encoder came from, for the record of the run that starts from it.

    Args:
        source: what the user named; a run's latest checkpoint counts.
        weights: digest of the encoder's weights.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
    """
    if source.is_file():
        return EncoderProvenance(checkpoint=str(source), weights=weights)
    saved = read_checkpoint(resolve_checkpoint(source))
    return EncoderProvenance(checkpoint=str(saved.path), weights=weights, recipe_hash=digest_dumped(saved.recipe))


def read_training_recipe(source: Path, name: str | None = None) -> Recipe:
    """Return the recipe that a network was trained by.

    Args:
        source: the folder of a run or of one of its checkpoints, or a released `.pth` file.
        name: a recipe's name or YAML file, for a released file.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        UsageError: a released file and no recipe, or a run and a recipe; or no recipe has that name.
        ConfigError: the recipe does not validate.
    """
    if source.is_file():
        return _recipe_of_released(source, name)
    folder = resolve_checkpoint(source)
    if name is not None:
        raise UsageError(
            f"--recipe {name}: {source} is of a run, whose checkpoint holds the recipe",
            remedy="Leave out --recipe: it is for released .pth files.",
        )
    return parse_recipe(read_checkpoint(folder).recipe, f"the recipe of {folder}")


def read_training_policy(source: Path, name: PolicyName | None = None) -> PolicyName:
    """Return the ingest policy of the clips that a network was trained on, so that other clips can be ingested alike.

    Args:
        source: as for `read_training_recipe`.
        name: the policy where the network does not say it: released files, imported stores.

    Returns:
        The policy of its store; else the named one; else `paper`, the policy of the released files.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        UsageError: the named policy is not its store's.
    """
    known = None if source.is_file() else read_meta(resolve_checkpoint(source)).identity.policy
    if known is None or known == "imported":
        return name or "paper"
    if name not in (None, known):
        raise UsageError(
            f"--policy {name}: {source} was trained on clips of the policy '{known}'",
            remedy="Leave out --policy: clips are cleaned like those that it was trained on.",
        )
    return known


def _recipe_of_released(source: Path, name: str | None) -> Recipe:
    weights = load_released(source, tell=False)
    task = _task_of_weights(weights)
    if name is None:
        raise UsageError(
            f"{source}: a released file does not say what it was trained by",
            remedy=f"Name its {task} recipe: --recipe {BASE_RECIPE}, say, or a YAML file.",
        )
    return load_recipe(task, name)


def _task_of_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the in-tree protocol of a released classifier, by the tensor of its classes; else `pretrain`."""
    for name in PROTOCOLS.names():
        if PROTOCOLS.entry(name).distribution is None:
            class_tensor = getattr(PROTOCOLS.get(name), "class_tensor", None)
            if class_tensor is not None and f"head.{class_tensor}" in weights:
                return name
    return PRETRAIN
