"""Owns planning: from a table's name to the runs it takes, each of them once; pure, and without torch."""

import hashlib
from collections.abc import Sequence

from mamp_schemas.errors import UsageError
from mamp_schemas.published import FIGURES, TABLES, PublishedTable
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe, PretrainRecipe
from mamp_schemas.reproduction import ReproductionPlan, PlannedCell, PlannedRun, PlannedTable, Scale
from mamp_trainer.reproduce.rows import RUNNABLE, LabelledRecipe, CellRecipes, find_recipes
from mamp_trainer.reproduce.small import scaled_down

_PARTS = {"10": ("10a", "10b")}
NAMES = (*(str(number) for number in range(1, 11)), *FIGURES)
"""What can be reproduced; 10a and 10b, the parts of table 10, can also be named alone."""

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
    tables = tuple(_plan_table(each, scale, seeds, runs) for each in _published_tables(table))
    return ReproductionPlan(table=table, scale=scale, tables=tables, runs=tuple(runs.values()))


def choose_runs(plan: ReproductionPlan, only: Sequence[str]) -> frozenset[str]:
    """Return the names of the runs that some columns need, pre-trainings included; of all without any.

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
    chosen = {
        name
        for planned in plan.tables
        for cell in planned.cells
        for column in [planned.published.columns[cell.column]]
        if not only or f"{column.dataset}/{column.protocol}" in only
        for name in cell.runs
    }
    return frozenset(chosen | {parent for name in chosen if (parent := parents[name]) is not None})


def _published_tables(table: str) -> list[PublishedTable]:
    parts = tuple(part for each in _PARTS.values() for part in each)
    if table not in (*NAMES, *parts):
        raise UsageError(f"there is no table '{table}' to reproduce", remedy=f"Choose one of: {', '.join(NAMES)}.")
    return [(TABLES | FIGURES)[name] for name in _PARTS.get(table, (table,))]


def _plan_table(published: PublishedTable, scale: Scale, seeds: int, runs: dict[str, PlannedRun]) -> PlannedTable:
    cells = []
    for row_at, row in enumerate(published.rows):
        if row.method not in RUNNABLE:
            continue
        for column_at, column in enumerate(published.columns):
            recipes = find_recipes(row, column, row.evaluation or published.evaluation)
            names = [name for seed in range(seeds) for name in _plan_cell(recipes, scale, seed, runs)]
            cells.append(PlannedCell(row=row_at, column=column_at, runs=tuple(names)))
    return PlannedTable(published=published, cells=tuple(cells))


def _plan_cell(recipes: CellRecipes, scale: Scale, seed: int, runs: dict[str, PlannedRun]) -> list[str]:
    """Put the runs of one seed among the others, and return the names of those whose number counts."""
    parent = None if recipes.pretrain is None else _add_run(recipes.pretrain, None, scale, seed, runs)
    if not recipes.evaluations and parent is not None:
        return [parent]
    return [_add_run(each, parent, scale, seed, runs) for each in recipes.evaluations]


def _add_run(
    labelled: LabelledRecipe[PretrainRecipe] | LabelledRecipe[LinearRecipe | FinetuneRecipe],
    parent: str | None,
    scale: Scale,
    seed: int,
    runs: dict[str, PlannedRun],
) -> str:
    """Put a run among the others unless it is there, and return its name: that of its settings and its parent."""
    recipe = scaled_down(labelled.recipe) if scale == "small" else labelled.recipe
    recipe = recipe.replaced(seed=seed) if seed else recipe
    digest = hashlib.sha256(f"{recipe.digest()} {parent}".encode()).hexdigest()[:_DIGEST_DIGITS]
    parts = (recipe.kind, labelled.label, *([scale] if scale == "small" else []), *([f"seed{seed}"] if seed else []))
    name = "-".join((*parts, digest))
    runs.setdefault(name, PlannedRun(name=name, recipe=recipe, parent=parent))
    return name
