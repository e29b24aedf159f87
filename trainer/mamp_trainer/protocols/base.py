"""What an evaluation protocol is. Write a plug-in against this page.

A protocol is one object, registered under its name: those of this package in `mamp_schemas.builtin`, those of other
distributions as entry points of the group `mampctl.protocols` that name the object. There are two kinds:

- a `TrainedProtocol` trains a classifier on an encoder, and `mampctl train NAME` runs it;
- a `MeasuredProtocol` trains nothing and computes numbers of an encoder's features. Each has a command of its own, such
  as `mampctl knn`.

Protocols of other distributions must be of the first kind: only `mampctl train` makes commands for them, and it refuses
those whose options are no recipe.

Recipe and protocol are two halves of one thing. The recipe class (`options`) is light: it holds the options and what
the command line must know before torch is imported. The protocol is the half with tensors.

The core of a plug-in; CONTRIBUTING.md has a complete one:

    class PrototypeRecipe(EvaluationRecipe):
        kind: Literal["prototype"]
        temperature: float = Field(default=0.1, gt=0)

    class PrototypeProtocol(TrainedProtocol[PrototypeRecipe]):
        options = PrototypeRecipe
        summary = "Train class prototypes by cosine similarity."
        class_tensor = "prototypes"

        def head(self, recipe, classes):
            return PrototypeHead(recipe.model.width, classes, recipe.temperature)

    PROTOTYPE = PrototypeProtocol()

with the entry point `prototype = "my_package.prototype:PROTOTYPE"`. Recipes in the class variable `recipes` of the
recipe class (YAML text by name) are found by `--recipe NAME`, as the built-in ones are.

Shapes: N clips, M body slots, Te segments, V joints, D width of the encoder; K is the number of classes here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from mamp_schemas.io.run_files import TOP1
from mamp_schemas.models.base import Model
from mamp_schemas.models.recipe import PRETRAIN, EvaluationRecipe
from mamp_schemas.models.results import NetworkMeasurement
from mamp_trainer.checkpoints.provenance import EncoderTraining
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.telemetry.flops import BACKWARD, encoder_flops
from mamp_trainer.training.hooks import Loss
from mamp_trainer.training.optim import parameter_groups

__all__ = ["Batch", "Draws", "EncodedClips", "Loss", "MeasuredProtocol", "TrainedProtocol"]

R = TypeVar("R", bound=EvaluationRecipe)
O = TypeVar("O", bound=Model)  # noqa: E741


class TrainedProtocol(ABC, Generic[R]):
    """A protocol that trains a classifier on an encoder, and measures it on the test split after every epoch.

    Attributes:
        options: the recipe class, with the protocol's own fields. Where `options.frozen_encoder` is true, only
            the head is trained.
        summary: one line for help and lists.
        class_tensor: name of the head's tensor that has one row a class, such as `fc.weight`.
        monitor: the metric that chooses the best epoch, the higher the better.
    """

    options: type[R]
    summary: str
    class_tensor: str
    monitor: str = TOP1

    @abstractmethod
    def head(self, recipe: R, classes: int) -> nn.Module:
        """Return a new head: a module from features (N, M, Te, V, D) to logits (N, K).

        Called under the recipe's seed. Every `BatchNorm1d` in it works over the clips of all ranks.
        """

    def loss(self, model: Classifier, batch: Batch, recipe: R, draws: Draws) -> Loss:  # noqa: ARG002
        """Return the mean loss of a batch, and named parts of it for the metrics; by default the cross-entropy.

        Args:
            model: in training mode, a frozen encoder in evaluation mode.
            batch: clips `x` (N, M, T, V, C) with `label` (N,).
            recipe: the protocol's recipe.
            draws: random numbers that depend on seed, epoch and clip alone. Take all randomness from here: then
                resumed and distributed runs draw the same.
        """
        return Loss(F.cross_entropy(model(batch.x, batch.unique_bodies), batch.label))

    def optimiser_groups(self, model: Classifier, recipe: R) -> list[dict[str, Any]]:
        """Return the groups of trainable parameters; by default two, with and without weight decay."""
        return parameter_groups(model, recipe.optimiser.weight_decay)

    def metrics(self, logits: Tensor, label: Tensor) -> Mapping[str, float]:  # noqa: ARG002
        """Return metrics besides top-1 and top-5 accuracy, by name; by default none.

        Args:
            logits: (N, K) of all test clips.
            label: (N,) int64.
        """
        return {}

    def flops(self, recipe: R, slots: int) -> int:
        """Return the floating-point operations that training takes for one clip of M = `slots` bodies."""
        passes = 1 if recipe.frozen_encoder else 1 + BACKWARD
        return passes * slots * encoder_flops(recipe.model, recipe.model.tokens)

    def encoder_warnings(self, training: EncoderTraining, recipe: R) -> Iterator[str]:
        """Yield why accuracy on this encoder may not be comparable with published accuracies.

        Args:
            training: what the encoder was trained for and on.
            recipe: the protocol's recipe.
        """
        trained_on = f"{training.dataset} {training.protocol}"
        if training.kind != PRETRAIN:
            yield (
                f"the encoder is that of a run of train {training.kind}, not of a pre-training: it may have learnt "
                "from labels already, and then the accuracy is not comparable with published ones"
            )
        if training.dataset == recipe.dataset and training.protocol != recipe.protocol:
            yield (
                f"the encoder was pre-trained on {trained_on}, whose training clips include test clips "
                f"of {recipe.protocol}: the accuracy is not comparable with published ones"
            )


class EncodedClips(NamedTuple):
    """Clips of a split as an encoder sees them.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based.
        features: (N, D) float32 on the CPU.
    """

    clip: Sequence[str]
    label: Tensor
    features: Tensor


class MeasuredProtocol(ABC, Generic[O]):
    """A protocol that trains nothing: it computes numbers from the features of training and test clips.

    Attributes:
        options: a model of the protocol's options, each of which has a default.
        summary: one line for help and lists.
        result: a model of what was measured, and on what.
    """

    options: type[O]
    summary: str
    result: type[NetworkMeasurement]

    @abstractmethod
    def measure(self, train: EncodedClips, test: EncodedClips, classes: int, options: O) -> Mapping[str, Any]:
        """Return the fields that `result` has besides those of `NetworkMeasurement`."""
