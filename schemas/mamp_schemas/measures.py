"""What is measured of a trained network: a classifier on the test side, features by their neighbours."""

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName
from mamp_schemas.protocols import SplitProtocolName


class NetworkMeasurement(Model):
    """What was measured, on what.

    Attributes:
        network: the run, checkpoint or released file; `untrained` where it is none.
        weights: sha256 of its weights.
        recipe: the name of the recipe that it was trained by.
        store_hash, manifest_hash: of the data.
        test_crop: the centred share of a clip that was kept.
    """

    network: str
    weights: str
    recipe: str
    dataset: DatasetName
    protocol: SplitProtocolName
    store_hash: str
    manifest_hash: str
    test_crop: float


class ClassAccuracy(Model):
    """One class on the test side.

    Attributes:
        label: 0-based.
        clips: how many it has there.
        top1: the percentage of them that is recognised; None where it has none.
        taken_for: the class that they are most often taken for instead; None where they never are.
    """

    label: int
    name: str
    clips: int
    top1: float | None
    taken_for: int | None


class ConfusedPair(Model):
    """A class that is taken for another one: how many of its clips, and the percentage of all its clips."""

    label: int
    taken_for: int
    clips: int
    share: float


class ClassifierEvaluation(NetworkMeasurement):
    """A classifier on the test side; accuracies in percent.

    Attributes:
        matrix: clips of each class (rows) that are taken for each class (columns).
        hardest: the classes most often taken for another one, by share.
    """

    clips: int
    top1: float
    top5: float
    classes: tuple[ClassAccuracy, ...]
    hardest: tuple[ConfusedPair, ...]
    matrix: tuple[tuple[int, ...], ...]


class RetrievalEvaluation(NetworkMeasurement):
    """Test clips among the features of the training clips, by cosine similarity; all in percent.

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
