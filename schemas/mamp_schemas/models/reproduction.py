"""Reproducing a table of the paper, from the planned runs to the table of obtained numbers."""

from typing import Literal

from mamp_schemas.models.base import Model
from mamp_schemas.models.published.format import PublishedTable
from mamp_schemas.models.recipe import AnyRecipe
from mamp_schemas.models.results import Spread

Scale = Literal["full", "small"]
"""`full` as published; `small` the same plan with reduced networks and epochs, which says nothing of the paper."""


class PlannedRun(Model):
    """A run that a table needs.

    Attributes:
        name: of its folder; the same for the same settings and parent, in whatever table they come up.
        recipe: what is trained.
        parent: the name of the pre-training whose encoder it begins with; None for none.
    """

    name: str
    recipe: AnyRecipe
    parent: str | None = None


class PlannedCell(Model):
    """A number of a table, by its place among the published rows and columns, and the runs whose mean it is."""

    row: int
    column: int
    runs: tuple[str, ...]


class PlannedTable(Model):
    """A published table and which of its numbers are to be obtained; other methods have no runs here."""

    published: PublishedTable
    cells: tuple[PlannedCell, ...]


class ReproductionPlan(Model):
    """What it takes to reproduce a table, or the two parts of table 10.

    Attributes:
        table: as the user names it.
        runs: each once, a pre-training before those that begin with its encoder.
    """

    table: str
    scale: Scale
    tables: tuple[PlannedTable, ...]
    runs: tuple[PlannedRun, ...]


TableMetric = Literal["top1", "loss"]
"""Accuracy in percent on the test side, or the loss of pre-training, each after the last epoch."""


class ObtainedRun(Model):
    """A finished run behind a number.

    Attributes:
        name: as planned.
        folder: where it is, relative to the table's files if it can be said so.
        value: after the last epoch.
        best, best_epoch: the best epoch's accuracy, chosen on the test side itself; None of a loss.
    """

    name: str
    folder: str
    seed: int
    value: float
    best: float | None = None
    best_epoch: int | None = None


class ObtainedCell(Model):
    """A number of a table as obtained, or why it is not.

    Attributes:
        row, column: its place among the published ones.
        state: `done` when all of its runs are; `failed` when one of them did; else `pending`.
        obtained: of the last epochs of its runs, once all are done.
        best: of their best epochs.
        difference: obtained minus published; None where nothing is published.
        runs: those that are done.
        planned: how many it takes.
        problem: what stands in the way.
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
    """A table beside the published one.

    Attributes:
        measure: what its numbers are.
        comparable: whether the numbers may be held against the published ones: full scale, official splits, clips
            as the authors' scripts make them.
        notes: what has to be known of them.
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
    """A run before it is done.

    Attributes:
        state: `begun` is taken up where it stopped.
        train_clips: of its training side; official ones where the data is not there.
        seconds: estimated, of what is left of it; None where nobody knows the clips.
        recorded: whether finished runs say so.
    """

    run: str
    state: Literal["done", "begun", "to do"]
    epochs: int
    train_clips: int | None
    seconds: float | None
    recorded: bool


class DryRun(Model):
    """A plan before it is run.

    Attributes:
        basis: what the estimates are from, in words.
        manifests: split manifests that will be made.
        missing: what else is missing of the data, and what makes it.
    """

    lines: tuple[DryRunLine, ...]
    device: str
    basis: str
    manifests: int
    missing: tuple[str, ...]
