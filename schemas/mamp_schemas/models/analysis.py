"""The content of a run's `analysis.json`: what its network has learned, for reports.

N test clips, K classes, D features; T frames, V joints and T/l segments of a sample.
"""

import base64
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mamp_schemas.models.base import Model
from mamp_schemas.models.results import ConfusedPair
from mamp_schemas.models.skeleton import Skeleton

AnalysisPart = Literal["confusion", "features", "reconstruction"]


DType = Literal["<f4", "<i4", "|b1"]

_DTYPES: dict[str, DType] = {"f": "<f4", "i": "<i4", "u": "<i4", "b": "|b1"}
"""The type that arrays of a kind are kept as."""


class ArrayData(Model):
    """An array inside JSON.

    Attributes:
        shape: its shape.
        dtype: little-endian float32, little-endian int32, or bool, as numpy calls them.
        data: its bytes in C order, as base64.
    """

    shape: tuple[int, ...]
    dtype: DType
    data: str

    @model_validator(mode="after")
    def _bytes_fill_the_shape(self) -> Self:
        expected = int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize
        try:
            size = len(base64.b64decode(self.data, validate=True))
        except ValueError as problem:
            raise ValueError(f"not base64: {problem}") from None
        if size != expected:
            raise ValueError(f"{size} bytes for shape {self.shape} of {self.dtype}, which takes {expected}")
        return self

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Return an array as data: floating point as float32, integers as int32."""
        dtype = _DTYPES[values.dtype.kind]
        data = base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
        return cls(shape=values.shape, dtype=dtype, data=data)

    def to_numpy(self) -> NDArray[Any]:
        """Return the array."""
        return np.frombuffer(base64.b64decode(self.data), dtype=self.dtype).reshape(self.shape)


class ConfusionAnalysis(Model):
    """Which classes a classifier takes for which.

    Attributes:
        source: `scores` if the run's scores.npz was read, `checkpoint` if the latest checkpoint was evaluated.
        clips: N, all test clips.
        matrix: (K, K) int32, clips of each class (rows) taken for each class (columns).
        accuracy: K numbers, the percentage of each class's clips that are recognised; None for a class without clips.
        pairs: the classes most often taken for another one, by share, the first ones of `num_pairs`.
    """

    source: Literal["scores", "checkpoint"]
    clips: int
    matrix: ArrayData
    accuracy: tuple[float | None, ...]
    pairs: tuple[ConfusedPair, ...]
    num_pairs: int


class FeatureAnalysis(Model):
    """The encoder's features of test clips: its output, the mean over bodies, segments and joints.

    Attributes:
        clips: the ids of N clips, drawn by the recipe's seed, in the store's order.
        labels: N classes, -1 where unknown.
        features: (N, D) float32.
        total: how many test clips there are.
    """

    clips: tuple[str, ...]
    labels: tuple[int, ...]
    features: ArrayData
    total: int


class MaskedReconstruction(Model):
    """One body of a test clip, some of its tokens masked, and the prediction.

    Attributes:
        clip: its id.
        label: its class, -1 where unknown.
        body: which body, 0-based.
        joints: (T, V, 3) float32, positions of the sample, metres.
        truth: (T, V, 3) float32, the target, metres: motion or positions.
        predicted: (T, V, 3) float32, the prediction, metres; it has a meaning only where tokens are masked.
        masked: (T/l, V) bool, which tokens are masked.
        loss: the loss of this body (eq. 11).
    """

    clip: str
    label: int
    body: int
    joints: ArrayData
    truth: ArrayData
    predicted: ArrayData
    masked: ArrayData
    loss: float


class ReconstructionAnalysis(Model):
    """What a pre-trained network predicts of masked tokens.

    Attributes:
        target: what is predicted: `motion` or `joint`.
        normalised: whether tokens are predicted without their mean and variance; the true token's are then put back.
        masking: the strategy, ratio and temperature, in words.
        skeleton: of the joints.
        examples: clips, from slow to fast.
    """

    target: str
    normalised: bool
    masking: str
    skeleton: Skeleton
    examples: tuple[MaskedReconstruction, ...]


class RunAnalysis(Model):
    """What a run's network has learned, computed from one checkpoint.

    Attributes:
        checkpoint: the name of the checkpoint's folder.
        weights: the sha256 of its file of weights.
        store_hash, manifest_hash: of the data that the run was trained on.
        class_titles: a title for each of the dataset's K classes.
        confusion: of a classifier; None for a pre-training.
        features: of the encoder.
        reconstruction: of a pre-training; None for a classifier.
        unavailable: why a part is missing that the run would have.
    """

    format_version: Literal[2] = 2
    checkpoint: str
    weights: str
    store_hash: str
    manifest_hash: str
    class_titles: tuple[str, ...]
    confusion: ConfusionAnalysis | None = None
    features: FeatureAnalysis | None = None
    reconstruction: ReconstructionAnalysis | None = None
    unavailable: dict[AnalysisPart, str] = Field(default_factory=dict)
