"""Reproducing a table of the paper: planned runs, obtained numbers, and the dry run."""

from typing import Literal

from mamp_schemas.models.base import Model
from mamp_schemas.models.published.format import PublishedTable
from mamp_schemas.models.recipe import AnyRecipe
from mamp_schemas.models.results import Spread

Scale = Literal["full", "small"]
"""`full` as published; `small` the same plan with reduced networks and epochs, whose numbers are not comparable."""


class PlannedRun(Model):
    """A run that a table needs.

    Attributes:
        name: of its folder; the same settings and parent have the same name in every table.
        recipe: the run's recipe.
        parent: the name of the pre-training whose encoder it begins with; None without one.
    """

    name: str
    recipe: AnyRecipe
    parent: str | None = None


class PlannedCell(Model):
    """A number of a table: its row and column in the published table, and the runs whose mean it is."""

    row: int
    column: int
    runs: tuple[str, ...]


class PlannedTable(Model):
    """A published table and the numbers of it that are to be obtained; methods without recipes have none."""

    published: PublishedTable
    cells: tuple[PlannedCell, ...]


class ReproductionPlan(Model):
    """The runs and numbers of a table, or of both parts of table 10.

    Attributes:
        table: as the user names it.
        runs: each run once, pre-trainings before the runs that use their encoders.
    """

    table: str
    scale: Scale
    tables: tuple[PlannedTable, ...]
    runs: tuple[PlannedRun, ...]


TableMetric = Literal["top1", "loss"]
"""Accuracy in percent on the test split, or the loss of pre-training, each after the last epoch."""


class ObtainedRun(Model):
    """A finished run behind a number.

    Attributes:
        name: as planned.
        folder: its path, relative to the folder of the table's files.
        value: after the last epoch.
        best, best_epoch: the best epoch's accuracy, chosen on the test split itself; None for a loss.
    """

    name: str
    folder: str
    seed: int
    value: float
    best: float | None = None
    best_epoch: int | None = None


class ObtainedCell(Model):
    """An obtained number of a table, or why it is missing.

    Attributes:
        row, column: in the published table.
        state: `done` if all of its runs are finished, `failed` if one of them failed, else `pending`.
        obtained: over the last epochs of its runs; None until all are finished.
        best: over their best epochs.
        difference: obtained minus published; None if nothing is published.
        runs: the finished runs.
        planned: how many runs it needs.
        problem: why a run failed.
    """

    row: int
    column: int
    state: Literal["done", "pending", "failed"]
    obtained: Spread | None = None
    best: Spread | None = None
    difference: float | None = None
    runs: tuple[ObtainedRun, ...]
    planned: int
    problem: str = ""


class LossCurve(Model):
    """The mean loss of every epoch of a pre-training."""

    run: str
    method: str
    loss: tuple[float, ...]


class ObtainedTable(Model):
    """A published table with the obtained numbers.

    Attributes:
        measure: the metric of its numbers.
        comparable: whether the numbers may be held against the published ones: full scale, official splits, clips
            as the authors' scripts make them.
        notes: remarks that readers need.
        curves: of figure `fig-loss`.
    """

    published: PublishedTable
    scale: Scale
    measure: TableMetric
    comparable: bool
    notes: tuple[str, ...]
    cells: tuple[ObtainedCell, ...]
    curves: tuple[LossCurve, ...] = ()


class DryRunLine(Model):
    """A planned run in a dry run.

    Attributes:
        state: a `begun` run is resumed.
        train_clips: its training clips; the official number where the data is missing.
        seconds: estimated time left; None where the number of clips is unknown.
        recorded: whether the estimate is derived from finished runs.
    """

    run: str
    state: Literal["done", "begun", "to do"]
    epochs: int
    train_clips: int | None
    seconds: float | None
    recorded: bool


class DryRun(Model):
    """A dry run of a plan.

    Attributes:
        basis: how the times were estimated, in words.
        manifests: how many split manifests will be made.
        missing: other missing data, and the commands that make it.
    """

    lines: tuple[DryRunLine, ...]
    device: str
    basis: str
    manifests: int
    missing: tuple[str, ...]
