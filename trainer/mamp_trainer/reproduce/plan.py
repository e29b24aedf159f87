"""Planning the runs of a table of the paper, each run once, at full or reduced scale; pure and without torch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from mamp_schemas.errors import UsageError
from mamp_schemas.models.published import FIGURES, TABLES
from mamp_schemas.models.published.format import Column, EvaluationKind, PublishedTable, Row
from mamp_schemas.models.recipe import PRETRAIN, EvaluationRecipe, ModelSpec, PretrainRecipe, Recipe, ScheduleSpec
from mamp_schemas.models.reproduction import PlannedCell, PlannedRun, PlannedTable, ReproductionPlan, Scale
from mamp_trainer.recipes import load_evaluation_recipe, load_recipe

MAMP_METHOD, SKELETON_MAE, SCRATCH = "MAMP", "SkeletonMAE*", "W/o pre-training"
RUNNABLE = (MAMP_METHOD, SKELETON_MAE, SCRATCH)
"""The methods that have recipes; numbers of other methods are printed as published."""

DRAWS = 5
"""Draws of the training clips that the paper averages (section 4.3)."""

ENCODER_FIELDS = ("model.input", "model.frames", "model.segment")
"""Fields of an ablation that the evaluation must share with the pre-training."""


class BuiltinEvaluation(NamedTuple):
    """How a kind of evaluation is run.

    Attributes:
        task: the protocol.
        recipe: the name of its built-in recipe, made of the column; from scratch, `-scratch` is appended.
        draws: draws of the training clips whose mean is the number; 0 for all training clips.
    """

    task: str
    recipe: str = "{dataset}-{protocol}"
    draws: int = 0


BUILTIN_EVALUATIONS: Mapping[EvaluationKind, BuiltinEvaluation] = {
    "linear": BuiltinEvaluation("linear"),
    "finetune": BuiltinEvaluation("finetune"),
    "supervised": BuiltinEvaluation("finetune"),
    "semi": BuiltinEvaluation("semi", "{dataset}-{protocol}-{percent}pct", DRAWS),
    "transfer": BuiltinEvaluation("transfer", "{dataset}-{protocol}-from-{source}"),
}

R = TypeVar("R", bound=PretrainRecipe | EvaluationRecipe)


class LabelledRecipe(NamedTuple, Generic[R]):
    """A recipe and the label in its run folder's name: the built-in recipe's name and the changed fields."""

    label: str
    recipe: R


class CellRecipes(NamedTuple):
    """The recipes of one number: a pre-training (None from scratch), and evaluations whose mean is the number."""

    pretrain: LabelledRecipe[PretrainRecipe] | None
    evaluations: tuple[LabelledRecipe[EvaluationRecipe], ...]


def find_recipes(row: Row, column: Column, evaluation: EvaluationKind) -> CellRecipes:
    """Return the recipes for a row's number in a column.

    Args:
        row: of a method that can be run.
        column: what the number is measured on.
        evaluation: how it is obtained; `pretrain` for the loss alone.
    """
    pretrain = None if row.method == SCRATCH else _pretraining(row, column)
    if evaluation == PRETRAIN:
        return CellRecipes(pretrain, ())
    return CellRecipes(pretrain, tuple(_evaluations(row, column, BUILTIN_EVALUATIONS[evaluation], pretrain)))


def _pretraining(row: Row, column: Column) -> LabelledRecipe[PretrainRecipe]:
    dataset, protocol = _pretrained_on(column)
    name = f"{dataset}-{protocol}{'-skeletonmae' if _is_skeleton_mae(row) else ''}"
    changed = {field: value for field, value in row.recipe.items() if value != _field_value(_pretrain(name), field)}
    overrides = tuple(f"{field}={value}" for field, value in changed.items())
    return LabelledRecipe(name + _label(changed), _pretrain(name, overrides))


def _evaluations(
    row: Row, column: Column, evaluation: BuiltinEvaluation, pretrain: LabelledRecipe[PretrainRecipe] | None
) -> list[LabelledRecipe[EvaluationRecipe]]:
    name = evaluation.recipe.format(
        dataset=column.dataset,
        protocol=column.protocol,
        source=column.source,
        percent=round(100 * (column.fraction or 0)),
    )
    shared = [f"{field}={value}" for field, value in row.recipe.items() if field in ENCODER_FIELDS]
    if pretrain is None:
        recipe, label = f"{name}-scratch", f"{name}-scratch"
    else:
        recipe, label = name, name + pretrain.label.removeprefix("-".join(_pretrained_on(column)))
    if not evaluation.draws:
        return [LabelledRecipe(label, load_evaluation_recipe(evaluation.task, recipe, shared))]
    return [
        LabelledRecipe(
            f"{label}-draw{draw}",
            load_evaluation_recipe(evaluation.task, recipe, [*shared, f"subset.draw={draw}"]),
        )
        for draw in range(1, evaluation.draws + 1)
    ]


@cache
def _pretrain(name: str, overrides: tuple[str, ...] = ()) -> PretrainRecipe:
    return load_recipe(PRETRAIN, name, overrides)


def _pretrained_on(column: Column) -> tuple[str, str]:
    """Return the pre-training data: the column's own dataset and protocol, in transfer the source's xsub."""
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


WIDTH_DIVISOR = 8
"""Divisor of widths and batch sizes; the proportions that a table varies stay."""

SEGMENTS = 4
"""Te of the reduced network (30 in the paper); T is this many segments of any length (table 9)."""

DEPTH, HEADS = 2, 4

PRETRAIN_EPOCHS_DIVISOR, EVALUATION_EPOCHS_DIVISOR = 40, 10
"""Divisors of epochs: 400 and 100 become 10, and the schedules of figure 5 stay in proportion."""

CHECKPOINT_EVERY = 2
MIN_FRAMES = 16


def scaled_down(recipe: Recipe) -> Recipe:
    """Return a recipe reduced to seconds on a handful of clips, and minutes on a dataset.

    Decoders keep their depth, which table 10a varies; losses, masking, optimisers and learning rates stay.
    """
    shorter = PRETRAIN_EPOCHS_DIVISOR if recipe.kind == PRETRAIN else EVALUATION_EPOCHS_DIVISOR
    reduced = recipe.replaced(
        summary=f"{recipe.summary}; reduced",
        model=_scaled_model(recipe.model),
        sampling=recipe.sampling.replaced(min_frames=min(recipe.sampling.min_frames, MIN_FRAMES)),
        schedule=_scaled_schedule(recipe.schedule, shorter),
        batch_size=max(2, recipe.batch_size // WIDTH_DIVISOR),
        checkpoint_every=CHECKPOINT_EVERY,
    )
    return reduced.replaced(**{name: max(1, getattr(reduced, name) // WIDTH_DIVISOR) for name in reduced.width_fields})


def _scaled_model(model: ModelSpec) -> ModelSpec:
    return model.replaced(
        frames=SEGMENTS * model.segment,
        width=model.width // WIDTH_DIVISOR,
        depth=DEPTH,
        heads=HEADS,
        decoder_width=model.decoder_width // WIDTH_DIVISOR,
        decoder_heads=HEADS,
    )


def _scaled_schedule(schedule: ScheduleSpec, by: int) -> ScheduleSpec:
    return schedule.replaced(epochs=max(1, schedule.epochs // by), warmup_epochs=schedule.warmup_epochs / by)


@dataclass
class Outcome:
    """The state of a plan's runs.

    Attributes:
        done: folders of the finished runs, by name.
        problems: what went wrong, by the name of the run.
    """

    done: dict[str, Path] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


_PARTS = {"10": ("10a", "10b")}
NAMES = (*(str(number) for number in range(1, 11)), *FIGURES)
"""The tables and figures that can be reproduced; 10a and 10b, the parts of table 10, can be named alone."""

_DIGEST_DIGITS = 8
"""Digits of the digest in a folder's name."""


def make_plan(table: str, scale: Scale = "full", seeds: int = 1) -> ReproductionPlan:
    """Plan a table.

    Args:
        table: one of `NAMES`, `10a` or `10b`.
        scale: as published, or reduced.
        seeds: runs of each setting, with seeds from 0 on.

    Raises:
        UsageError: there is no such table.
    """
    runs: dict[str, PlannedRun] = {}
    tables = tuple(_plan_table(published, scale, seeds, runs) for published in _published_tables(table))
    return ReproductionPlan(table=table, scale=scale, tables=tables, runs=tuple(runs.values()))


def choose_runs(plan: ReproductionPlan, only: Sequence[str]) -> frozenset[str]:
    """Return the names of the runs that some columns need, pre-trainings included; all runs if no column is named.

    Args:
        plan: the plan.
        only: columns as `DATASET/PROTOCOL`.

    Raises:
        UsageError: the table has no such column.
    """
    columns = {
        f"{column.dataset}/{column.protocol}": None for planned in plan.tables for column in planned.published.columns
    }
    for name in only:
        if name not in columns:
            raise UsageError(
                f"--only {name}: table {plan.table} has no such column", remedy=f"Choose of: {', '.join(columns)}."
            )
    parents = {run.name: run.parent for run in plan.runs}
    needed = {
        name
        for planned in plan.tables
        for cell in planned.cells
        for column in [planned.published.columns[cell.column]]
        if not only or f"{column.dataset}/{column.protocol}" in only
        for name in cell.runs
    }
    return frozenset(needed | {parent for name in needed if (parent := parents[name]) is not None})


def _published_tables(table: str) -> list[PublishedTable]:
    parts = tuple(part for table_parts in _PARTS.values() for part in table_parts)
    if table not in (*NAMES, *parts):
        raise UsageError(f"there is no table '{table}' to reproduce", remedy=f"Choose one of: {', '.join(NAMES)}.")
    return [(TABLES | FIGURES)[name] for name in _PARTS.get(table, (table,))]


def _plan_table(published: PublishedTable, scale: Scale, seeds: int, runs: dict[str, PlannedRun]) -> PlannedTable:
    cells = []
    for row_index, row in enumerate(published.rows):
        if row.method not in RUNNABLE:
            continue
        for column_index, column in enumerate(published.columns):
            recipes = find_recipes(row, column, row.evaluation or published.evaluation)
            names = [name for seed in range(seeds) for name in _plan_cell(recipes, scale, seed, runs)]
            cells.append(PlannedCell(row=row_index, column=column_index, runs=tuple(names)))
    return PlannedTable(published=published, cells=tuple(cells))


def _plan_cell(recipes: CellRecipes, scale: Scale, seed: int, runs: dict[str, PlannedRun]) -> list[str]:
    """Add the runs of one seed, and return the names of the runs whose number counts."""
    parent = None if recipes.pretrain is None else _add_run(recipes.pretrain, None, scale, seed, runs)
    if not recipes.evaluations and parent is not None:
        return [parent]
    return [_add_run(evaluation, parent, scale, seed, runs) for evaluation in recipes.evaluations]


def _add_run(
    labelled: LabelledRecipe[PretrainRecipe] | LabelledRecipe[EvaluationRecipe],
    parent: str | None,
    scale: Scale,
    seed: int,
    runs: dict[str, PlannedRun],
) -> str:
    """Add a run unless it is there, and return its name, which is made of its settings and its parent."""
    recipe = scaled_down(labelled.recipe) if scale == "small" else labelled.recipe
    recipe = recipe.replaced(seed=seed) if seed else recipe
    digest = hashlib.sha256(f"{recipe.digest()} {parent}".encode()).hexdigest()[:_DIGEST_DIGITS]
    parts = (recipe.kind, labelled.label, *([scale] if scale == "small" else []), *([f"seed{seed}"] if seed else []))
    name = "-".join((*parts, digest))
    runs.setdefault(name, PlannedRun(name=name, recipe=recipe, parent=parent))
    return name
