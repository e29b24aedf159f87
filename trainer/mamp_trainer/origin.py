"""Owns what a trained network comes from, recipe and policy: its checkpoint says, or, of released files, the user."""

from pathlib import Path

from mamp_schemas.base import parse_model_data
from mamp_schemas.errors import UsageError
from mamp_schemas.policy import PolicyName
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe, PretrainRecipe, Recipe, Task
from mamp_trainer.checkpoint.files import read_checkpoint, read_meta
from mamp_trainer.official import load_released
from mamp_trainer.recipes import load_recipe
from mamp_trainer.weights import resolve_checkpoint

_TASK_BY_HEAD_TENSOR: dict[str, Task] = {"head.fc.weight": "linear", "head.fc2.weight": "finetune"}
"""Tensors that tell what kind of classifier a released file holds; without one, it is a pre-training."""


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
            f"--recipe {name}: {source} says itself what it was trained by",
            remedy="Leave out --recipe: it is for released .pth files.",
        )
    data, where = read_checkpoint(folder).recipe, f"the recipe of {folder}"
    if data["kind"] == "pretrain":
        return parse_model_data(PretrainRecipe, data, where)
    if data["kind"] == "linear":
        return parse_model_data(LinearRecipe, data, where)
    return parse_model_data(FinetuneRecipe, data, where)


def read_training_policy(source: Path, name: PolicyName | None = None) -> PolicyName:
    """Return by which policy the clips of a trained network were made, for others to be made likewise.

    Args:
        source: as for `find_recipe`.
        name: of a policy, where the network does not say: released files, stores that were imported.

    Returns:
        The policy of its store; else the one that is named; else `paper`, which released files were trained by.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        UsageError: another policy is named than its store's.
    """
    known = None if source.is_file() else read_meta(resolve_checkpoint(source)).belonging.policy
    if known is None or known == "imported":
        return name or "paper"
    if name not in (None, known):
        raise UsageError(
            f"--policy {name}: {source} was trained on clips of the policy '{known}'",
            remedy="Leave out --policy: clips are made as those that it was trained on.",
        )
    return known


def _recipe_of_released(source: Path, name: str | None) -> Recipe:
    weights = load_released(source)
    task: Task = next((task for tensor, task in _TASK_BY_HEAD_TENSOR.items() if tensor in weights), "pretrain")
    if name is None:
        raise UsageError(
            f"{source}: a released file does not say what it was trained by",
            remedy=f"Name its {task} recipe: --recipe ntu60-xsub, say, or a YAML file.",
        )
    return load_recipe(task, name)
