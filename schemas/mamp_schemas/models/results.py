"""Results: what training runs, evaluations and store checks report."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Literal, Self

from pydantic import AwareDatetime, Field

from mamp_schemas.models.base import Model
from mamp_schemas.models.splits import Subset


class PretrainResult(Model):
    """The outcome of a pre-training: mean loss of the first and of the last epoch; None if it had no epoch."""

    kind: Literal["pretrain"]
    steps: int
    epochs: int
    first_loss: float | None
    last_loss: float | None
    seconds: float


class EvaluationResult(Model):
    """The outcome of an evaluation: top-1 and top-5 accuracy in percent on the test split.

    Attributes:
        kind: the protocol's name.
        last_top1, last_top5: after the last epoch.
        best_top1, best_epoch: of the best epoch, chosen on the test split itself, as the authors report.
        metrics: the protocol's other metrics after the last epoch, by name.
    """

    kind: str
    epochs: int
    clips: int
    last_top1: float
    last_top5: float
    best_top1: float
    best_epoch: int
    seconds: float
    metrics: dict[str, float] = Field(default_factory=dict)


class Spread(Model):
    """Mean and deviation over several runs of one setting: seeds, or draws of the training clips.

    Attributes:
        mean: the mean.
        deviation: the sample standard deviation; None for a single run.
        runs: the number of runs.
    """

    mean: float
    deviation: float | None
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        return cls(mean=mean(values), deviation=stdev(values) if len(values) > 1 else None, runs=len(values))

    def __str__(self) -> str:
        """Return `mean ± deviation` with two decimals."""
        return f"{self.mean:.2f}" if self.deviation is None else f"{self.mean:.2f} ± {self.deviation:.2f}"


class Hardware(Model):
    """The hardware of a run's first rank; it does not identify the machine.

    Attributes:
        cpu: the processor's model.
        cores: cores that the process may use, by its affinity and its container's limit.
        cores_present: cores of the machine.
        memory_gb: memory of the machine, or the container's limit, in 10^9 bytes.
        gpus: visible GPUs by model.
        ranks: processes that trained together, on all hosts.
    """

    cpu: str
    cores: int
    cores_present: int
    memory_gb: float
    gpus: dict[str, int]
    ranks: int


class EncoderProvenance(Model):
    """Where an evaluation's encoder came from.

    Attributes:
        checkpoint: the checkpoint's folder or the released file, as the user named it.
        weights: digest of the encoder's weights at the start.
        recipe_hash: of the run that wrote the checkpoint; None for released files, which have no recipe.
    """

    checkpoint: str
    weights: str
    recipe_hash: str | None = None


class RunRecord(Model):
    """The record of a complete run, `run.json` in its folder: what was run, on which data, with what outcome.

    Metrics of every epoch are in metrics.jsonl, the settings in recipe.yaml.

    Attributes:
        task: `pretrain`, or the name of an evaluation protocol.
        recipe: the recipe's name.
        subset: the draw of the training clips, where only some were used.
        encoder: the encoder at the start: `untrained`, or the path that the user named.
        origin: where the encoder came from; None for an untrained one.
        device: the device, as torch names it.
        started: when the first session began that contributed to the result.
        finished: when the record was written.
        sessions: how often the run was started or resumed, in sessions; sessions that left no checkpoint do not count.
        run_id: the run id of the last session in its log, such as that of a batch system.
        metrics: sha256 of metrics.jsonl.
        result: the outcome; its `seconds` include all sessions.
    """

    format_version: Literal[3]
    task: str
    recipe: str
    dataset: str
    protocol: str
    subset: Subset | None = None
    recipe_hash: str
    store_hash: str
    manifest_hash: str
    encoder: str
    origin: EncoderProvenance | None = None
    seed: int
    device: str
    hardware: Hardware
    versions: dict[str, str]
    started: AwareDatetime
    finished: AwareDatetime
    sessions: int
    run_id: str | None = None
    metrics: str | None = None
    result: PretrainResult | EvaluationResult

    @property
    def encoder_weights(self) -> str:
        """`untrained`, or 16 digits of the digest of the weights at the start."""
        return self.origin.weights[:16] if self.origin else self.encoder

    def started_from_weights(self, weights: str) -> bool:
        """Return whether the run's encoder had these weights at the start.

        Args:
            weights: digest of an encoder's weights, or `untrained`.
        """
        return self.encoder_weights == weights[:16]


class VerifyReport(Model):
    """The outcome of `mampctl verify`: how many clips were read, and every problem found."""

    clips: int
    rows: int
    problems: tuple[str, ...]


class NetworkMeasurement(Model):
    """Which network was measured, and on which data.

    Attributes:
        network: the run, checkpoint or released file; `untrained` for initial weights.
        weights: sha256 of its weights.
        recipe: the name of the recipe that it was trained with.
        store_hash, manifest_hash: of the data.
        test_crop: the centred share of each clip that was used.
    """

    network: str
    weights: str
    recipe: str
    dataset: str
    protocol: str
    store_hash: str
    manifest_hash: str
    test_crop: float


class ClassAccuracy(Model):
    """One class on the test split.

    Attributes:
        label: 0-based.
        clips: its test clips.
        top1: percentage of them that are recognised; None without clips.
        taken_for: the class that they are most often taken for instead; None if they never are.
    """

    label: int
    name: str
    clips: int
    top1: float | None
    taken_for: int | None


class ConfusedPair(Model):
    """A class that is taken for another one: for how many of its clips, and for which percentage of them."""

    label: int
    taken_for: int
    clips: int
    share: float


class ClassifierEvaluation(NetworkMeasurement):
    """A classifier on the test split; accuracies in percent.

    Attributes:
        matrix: clips of each class (rows) that are taken for each class (columns).
        hardest: the classes most often taken for another one, by share.
        metrics: the protocol's other metrics, by name.
    """

    clips: int
    top1: float
    top5: float
    classes: tuple[ClassAccuracy, ...]
    hardest: tuple[ConfusedPair, ...]
    matrix: tuple[tuple[int, ...], ...]
    metrics: dict[str, float] = Field(default_factory=dict)


class RetrievalEvaluation(NetworkMeasurement):
    """kNN classification and retrieval of test clips among the training clips by cosine similarity; all in percent.

    Attributes:
        clips: test clips, the queries.
        gallery: training clips.
        knn: by k, the share of queries whose class most of the k nearest have.
        recall: by k, the share of queries with one of their class among the k nearest.
        mean_average_precision: over the whole ranking of the gallery.
    """

    clips: int
    gallery: int
    knn: dict[int, float]
    recall: dict[int, float]
    mean_average_precision: float
