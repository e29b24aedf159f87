"""What runs and checks report."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Literal, Self

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName
from mamp_schemas.protocols import ProtocolName
from mamp_schemas.recipes import Task


class PretrainResult(Model):
    """The end of a pre-training: mean loss of the first and the last epoch (None before the first)."""

    kind: Literal["pretrain"]
    steps: int
    epochs: int
    first_loss: float | None
    last_loss: float | None
    seconds: float


class EvaluationResult(Model):
    """The end of an evaluation's training: top-1 and top-5 accuracy in percent on the test side.

    Attributes:
        last_top1, last_top5: after the last epoch.
        best_top1, best_epoch: the best epoch's, chosen on the test side itself, as the authors report.
    """

    kind: Literal["linear", "finetune", "semi", "transfer"]
    epochs: int
    clips: int
    last_top1: float
    last_top5: float
    best_top1: float
    best_epoch: int
    seconds: float


class Spread(Model):
    """What several runs of one setting came to: seeds, or draws of the training clips.

    Attributes:
        mean: of their numbers.
        deviation: the sample standard deviation; None of a single run.
        runs: how many there are.
    """

    mean: float
    deviation: float | None
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one number."""
        return cls(mean=mean(values), deviation=stdev(values) if len(values) > 1 else None, runs=len(values))

    def __str__(self) -> str:
        """Return `mean ± deviation` with two decimals."""
        return f"{self.mean:.2f}" if self.deviation is None else f"{self.mean:.2f} ± {self.deviation:.2f}"


class RunRecord(Model):
    """One record per run, written into its folder: what was run, on what, with what outcome."""

    task: Task
    dataset: DatasetName
    protocol: ProtocolName
    recipe_hash: str
    store_hash: str
    manifest_hash: str
    encoder: str
    seed: int
    device: str
    versions: dict[str, str]
    result: PretrainResult | EvaluationResult


class CheckReport(Model):
    """The outcome of `mampctl verify`: how many clips were read, and every problem found."""

    clips: int
    rows: int
    problems: tuple[str, ...]
