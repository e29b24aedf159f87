"""What a report of runs is made of: plain data, wherever it was read or computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.skeleton import Skeleton

MetricLines = Sequence[Mapping[str, float]]
"""Lines of metrics: numbers by name, `epoch` and `step` among them."""


class ConfusedPair(NamedTuple):
    """A class taken for another one: `clips` of its clips, `share` of all of them in percent."""

    label: int
    taken_for: int
    clips: int
    share: float


@dataclass(frozen=True)
class ConfusionReport:
    """Which classes are taken for which.

    Attributes:
        source: whose scores they are, and of which clips.
        names: of the K classes.
        matrix: (K, K) clips of each class (rows) taken for each class.
        accuracy: (K,) percent of each class's clips that are recognised, NaN where there is none.
        pairs: the hardest pairs, hardest first.
    """

    source: str
    names: Sequence[str]
    matrix: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    pairs: Sequence[ConfusedPair]


@dataclass(frozen=True)
class ClipFeatures:
    """What an encoder makes of clips.

    Attributes:
        source: whose features they are, and of which clips.
        names: of the K classes.
        clips: N names.
        label: (N,) class.
        values: (N, D).
    """

    source: str
    names: Sequence[str]
    clips: Sequence[str]
    label: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class MaskedReconstruction:
    """A body of a clip, some of its tokens hidden, and what was predicted there.

    T frames, V joints, segments of l frames.

    Attributes:
        clip: its name.
        label: its class's name.
        body: which one, from 1.
        joints: (T, V, 3) positions, metres.
        truth: (T, V, 3) the target, metres.
        predicted: (T, V, 3) the prediction in metres; only where hidden does it mean anything.
        hidden: (T/l, V) true where hidden.
        error: the loss on it.
    """

    clip: str
    label: str
    body: int
    joints: NDArray[np.float32]
    truth: NDArray[np.float32]
    predicted: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    error: float


@dataclass(frozen=True)
class ReconstructionReport:
    """What a pre-training predicts of hidden tokens.

    Attributes:
        source: of which clips, masked how.
        target: `motion` or `joint`.
        normalised: whether tokens were predicted without their mean and size, which are then the truth's.
        skeleton: of the joints.
        examples: clips.
    """

    source: str
    target: str
    normalised: bool
    skeleton: Skeleton
    examples: Sequence[MaskedReconstruction]


@dataclass(frozen=True)
class RunReport:
    """A run.

    What is missing of it is a text that says why, and what makes it.

    Attributes:
        name: tells it from the others.
        path: its folder.
        state: complete, incomplete or damaged.
        settings: its recipe, as plain data.
        differs: what of its recipe is not as in the other runs of its task, `key value`.
        outcome: how far it has come and what came out: `epochs`, `last_loss`, `last_top1`, `best_top1`, `seconds`;
            what is not known is None.
        device: what it ran on, empty where it is not known.
        train: lines of some steps each.
        epochs: lines of an epoch each.
        notes: what does not fit together.
    """

    name: str
    path: str
    state: str
    settings: Mapping[str, Any]
    differs: Sequence[str] = ()
    outcome: Mapping[str, float | None] = field(default_factory=dict)
    device: str = ""
    train: MetricLines = ()
    epochs: MetricLines = ()
    confusion: ConfusionReport | str = ""
    features: ClipFeatures | str = ""
    predictions: ReconstructionReport | str = ""
    notes: Sequence[str] = ()
