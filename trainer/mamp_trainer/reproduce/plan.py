"""Owns planning: from a table's name to the runs it takes, each of them once; pure, and without torch."""

from mamp_schemas.errors import UsageError
from mamp_schemas.published import FIGURES, TABLES, PublishedTable
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe, PretrainRecipe, Recipe
from mamp_schemas.reproduction import Plan, PlannedCell, PlannedRun, PlannedTable, Scale
from mamp_trainer.reproduce.rows import RUNNABLE, find_recipes
from mamp_trainer.reproduce.settings import name_run
from mamp_trainer.reproduce.small import small

_PARTS = {"10": ("10a", "10b")}
NAMES = (*(str(number) for number in range(1, 11)), *FIGURES)
"""What can be reproduced; 10a and 10b, the parts of table 10, can also be named alone."""


def make_plan(table: str, scale: Scale = "full", seeds: int = 1) -> Plan:
    """Plan a table.

    Args:
        table: one of `NAMES`, `10a` or `10b`.
        scale: as published, or reduced.
        seeds: runs of each setting, with seeds from 0 on.

    Raises:
        UsageError: there is no such table.
    """
    runs: dict[str, PlannedRun] = {}
    tables = tuple(_plan_table(each, scale, seeds, runs) for each in _find(table))
    return Plan(table=table, scale=scale, tables=tables, runs=tuple(runs.values()))


def _find(table: str) -> list[PublishedTable]:
    if table not in (*NAMES, "10a", "10b"):
        raise UsageError(f"there is no table '{table}' to reproduce", remedy=f"Choose one of: {', '.join(NAMES)}.")
    return [(TABLES | FIGURES)[name] for name in _PARTS.get(table, (table,))]


def _plan_table(published: PublishedTable, scale: Scale, seeds: int, runs: dict[str, PlannedRun]) -> PlannedTable:
    cells = []
    for row_at, row in enumerate(published.rows):
        if row.method not in RUNNABLE:
            continue
        for column_at, column in enumerate(published.columns):
            pretrain, evaluations = find_recipes(row, column, row.evaluation or published.evaluation)
            names = [name for seed in range(seeds) for name in _plan_runs(pretrain, evaluations, scale, seed, runs)]
            cells.append(PlannedCell(row=row_at, column=column_at, runs=tuple(names)))
    return PlannedTable(published=published, cells=tuple(cells))


def _plan_runs(
    pretrain: PretrainRecipe | None,
    evaluations: tuple[LinearRecipe | FinetuneRecipe, ...],
    scale: Scale,
    seed: int,
    runs: dict[str, PlannedRun],
) -> list[str]:
    """Put the runs of one seed among the others, and return the names of those whose number counts."""
    parent = None if pretrain is None else _put(_scaled(pretrain, scale, seed), None, runs)
    if not evaluations and parent is not None:
        return [parent]
    return [_put(_scaled(each, scale, seed), parent, runs) for each in evaluations]


def _scaled(recipe: Recipe, scale: Scale, seed: int) -> Recipe:
    scaled = small(recipe) if scale == "small" else recipe
    return scaled.replaced(seed=seed, name=f"{scaled.name}-seed{seed}") if seed else scaled


def _put(recipe: Recipe, parent: str | None, runs: dict[str, PlannedRun]) -> str:
    name = name_run(recipe, parent)
    runs.setdefault(name, PlannedRun(name=name, recipe=recipe, parent=parent))
    return name
