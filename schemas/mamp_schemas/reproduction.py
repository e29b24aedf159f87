"""Reproducing a table of the paper: the runs it takes, and the table that they make."""

from typing import Annotated, Literal

from pydantic import Field

from mamp_schemas.base import Model
from mamp_schemas.published.table import PublishedTable
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe, PretrainRecipe

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
    recipe: Annotated[PretrainRecipe | LinearRecipe | FinetuneRecipe, Field(discriminator="kind")]
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


class Plan(Model):
    """What it takes to reproduce a table, or the two parts of table 10.

    Attributes:
        table: as the user names it.
        runs: each once, a pre-training before those that begin with its encoder.
    """

    table: str
    scale: Scale
    tables: tuple[PlannedTable, ...]
    runs: tuple[PlannedRun, ...]
