"""The form of published tables: columns, rows, and single numbers with everything they depend on."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model

EvaluationKind = Literal["linear", "finetune", "semi", "transfer", "supervised", "pretrain"]
"""How a number was obtained.

`supervised` methods learn from labels alone and stand beside fine-tuned ones; `pretrain` is no evaluation: what a
figure shows is the loss itself.
"""


class Column(Model):
    """What the numbers of a column were measured on.

    Attributes:
        dataset, protocol: of the evaluation.
        fraction: the share of the training clips whose labels are used (table 5); None for all.
        source: the dataset of the pre-training where it is another one (table 6).
    """

    dataset: str
    protocol: str
    fraction: float | None = None
    source: str | None = None


class Row(Model):
    """A method and its numbers, one a column, None where nothing was reported.

    Attributes:
        method: as printed, without reference and "(Ours)".
        evaluation: where it is not the table's.
        input, backbone: as printed, in the tables that name them.
        recipe: in ablations, the recipe's fields that differ from row to row, and their values.
    """

    method: str
    values: tuple[float | None, ...]
    evaluation: EvaluationKind | None = None
    input: str | None = None
    backbone: str | None = None
    recipe: dict[str, str | int | float] = Field(default_factory=dict)


class Number(Column):
    """One published number: a column and a row of a table, and its value.

    Attributes:
        metric: top-1 accuracy on the test split, in percent, in all tables.
    """

    table: str
    evaluation: EvaluationKind
    method: str
    input: str | None
    backbone: str | None
    recipe: dict[str, str | int | float]
    metric: Literal["top1"]
    value: float


class PublishedTable(Model):
    """A table as published.

    Attributes:
        name: by which `TABLES` has it.
        source: where it stands.
        evaluation: how its numbers were obtained.
    """

    name: str
    title: str
    source: str
    evaluation: EvaluationKind
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _rectangular(self) -> "PublishedTable":
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(
                    f"table {self.name}: {row.method} has {len(row.values)} numbers, expected {len(self.columns)}"
                )
        return self

    def numbers(self) -> Iterator[Number]:
        """Yield every number that is there, row by row."""
        for row in self.rows:
            for column, value in zip(self.columns, row.values, strict=True):
                if value is None:
                    continue
                yield Number(
                    **column.__dict__,
                    table=self.name,
                    evaluation=row.evaluation or self.evaluation,
                    method=row.method,
                    input=row.input,
                    backbone=row.backbone,
                    recipe=row.recipe,
                    metric="top1",
                    value=value,
                )
