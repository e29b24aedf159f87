"""Owns which recipes give a row's number in a column: the shipped ones, with the fields that a table varies.

They keep the shipped ones' names: so runs of `mampctl train` count as well, and `mampctl runs show` tells what differs.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from mamp_schemas.datasets import KnownDatasetName
from mamp_schemas.protocols import SplitProtocolName
from mamp_schemas.published.table import Column, EvaluationKind, Row
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe, PretrainRecipe
from mamp_trainer.recipes import load_recipe

MAMP_METHOD, SKELETON_MAE, SCRATCH = "MAMP", "SkeletonMAE*", "W/o pre-training"
RUNNABLE = (MAMP_METHOD, SKELETON_MAE, SCRATCH)
"""The methods that there are recipes of; the numbers of others are printed as published."""

DRAWS = 5
"""Draws of the training clips that the paper averages (section 4.3)."""

ENCODER_FIELDS = ("model.input", "model.frames", "model.segment")
"""Fields of an ablation that an evaluation shares with its encoder."""

R = TypeVar("R", bound=PretrainRecipe | LinearRecipe | FinetuneRecipe)


class LabelledRecipe(NamedTuple, Generic[R]):
    """A recipe, and what its run's folder is called by: the recipe's name and what differs from it."""

    label: str
    recipe: R


class CellRecipes(NamedTuple):
    """What a number takes: a pre-training (none from scratch), and its evaluations, whose mean the number is."""

    pretrain: LabelledRecipe[PretrainRecipe] | None
    evaluations: tuple[LabelledRecipe[LinearRecipe | FinetuneRecipe], ...]


def find_recipes(row: Row, column: Column, evaluation: EvaluationKind) -> CellRecipes:
    """Return the recipes for a row's number in a column.

    Args:
        row: of a method that can be run.
        column: what the number is measured on.
        evaluation: how it is obtained; `pretrain` for the loss alone.
    """
    pretrain = None if row.method == SCRATCH else _pretraining(row, column)
    if evaluation == "pretrain":
        return CellRecipes(pretrain, ())
    if evaluation == "linear" and pretrain is not None:
        shared = [f"{field}={value}" for field, value in row.recipe.items() if field in ENCODER_FIELDS]
        linear = load_recipe("linear", f"{column.dataset}-{column.protocol}", shared)
        return CellRecipes(pretrain, (LabelledRecipe(pretrain.label, linear),))
    return CellRecipes(pretrain, tuple(_finetunings(row, column, evaluation)))


def _pretraining(row: Row, column: Column) -> LabelledRecipe[PretrainRecipe]:
    dataset, protocol = _pretrained_on(column)
    name = f"{dataset}-{protocol}{'-skeletonmae' if _is_skeleton_mae(row) else ''}"
    changed = {field: value for field, value in row.recipe.items() if value != _field_value(_pretrain(name), field)}
    overrides = tuple(f"{field}={value}" for field, value in changed.items())
    return LabelledRecipe(name + _label(changed), _pretrain(name, overrides))


def _finetunings(row: Row, column: Column, evaluation: EvaluationKind) -> list[LabelledRecipe[LinearRecipe | FinetuneRecipe]]:
    name = f"{column.dataset}-{column.protocol}"
    beginning = {SCRATCH: "-scratch", SKELETON_MAE: "-skeletonmae"}.get(row.method, "")
    shipped = "-scratch" if row.method == SCRATCH else ""
    if evaluation == "semi":
        part = f"{name}-{round(100 * (column.fraction or 0))}pct"
        return [
            LabelledRecipe(f"{part}{beginning}-draw{draw}", load_recipe("semi", part + shipped, [f"subset.draw={draw}"]))
            for draw in range(1, DRAWS + 1)
        ]
    if evaluation == "transfer":
        source = f"{name}-from-{column.source}"
        return [LabelledRecipe(source + beginning, load_recipe("transfer", source))]
    return [LabelledRecipe(name + beginning, load_recipe("finetune", name + shipped))]


@cache
def _pretrain(name: str, overrides: tuple[str, ...] = ()) -> PretrainRecipe:
    return load_recipe("pretrain", name, overrides)


def _pretrained_on(column: Column) -> tuple[KnownDatasetName, SplitProtocolName]:
    """Return what the encoder learns from: the column's own training clips, or, in transfer, another xsub's."""
    return (column.dataset, column.protocol) if column.source is None else (column.source, "xsub")


def _is_skeleton_mae(row: Row) -> bool:
    """Return whether a row is SkeletonMAE*, under its own name or as table 7's joints from joints."""
    fields = row.recipe
    return row.method == SKELETON_MAE or (fields.get("target.kind"), fields.get("model.input")) == ("joint", "joint")


def _field_value(recipe: PretrainRecipe, field: str) -> Any:
    value: Any = recipe
    for part in field.split("."):
        value = getattr(value, part)
    return value


def _label(changed: Mapping[str, object]) -> str:
    return "".join(f"-{field.rpartition('.')[2].replace('_', '-')}-{value}" for field, value in changed.items())
