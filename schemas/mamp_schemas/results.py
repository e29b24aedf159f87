"""What runs and checks report."""

from typing import Literal

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


class LinearResult(Model):
    """Linear evaluation: top-1 and top-5 accuracy in percent on the test side.

    Attributes:
        last_top1, last_top5: after the last epoch.
        best_top1, best_epoch: the best epoch's, chosen on the test side itself, as the authors report.
    """

    kind: Literal["linear"]
    epochs: int
    clips: int
    last_top1: float
    last_top5: float
    best_top1: float
    best_epoch: int
    seconds: float


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
    result: PretrainResult | LinearResult


class CheckReport(Model):
    """The outcome of `mampctl verify`: how many clips were read, and every problem found."""

    clips: int
    rows: int
    problems: tuple[str, ...]
