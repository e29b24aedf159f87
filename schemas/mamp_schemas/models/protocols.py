"""The options of the built-in evaluation protocols: their recipes, and the options of kNN."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model
from mamp_schemas.models.dataset import DatasetName
from mamp_schemas.models.recipe import EvaluationRecipe
from mamp_schemas.models.splits import SplitProtocolName, Subset


class LinearRecipe(EvaluationRecipe):
    """Linear evaluation: the encoder is frozen, a linear classifier is trained on its mean features."""

    frozen_encoder = True
    untrained_suffix = "-untrained"

    kind: Literal["linear"]


class FinetuneRecipe(EvaluationRecipe):
    """Fine-tuning: encoder and a new head are trained together.

    Attributes:
        dropout: dropout rate of the features that the head gets.
        label_smoothing: share of the target that is spread evenly over all classes.
        drop_path: stochastic depth: the probability that a sequence skips a branch of the last block; it grows
            linearly from 0 at the first block.
        layer_decay: factor of the learning rate from one layer to the next below: layer_decay^(depth + 1 - id) with
            id 0 for the embeddings, i + 1 for block i, depth + 1 for the rest.
        head_width: hidden width of the head.
    """

    width_fields = ("head_width",)

    kind: Literal["finetune", "semi", "transfer"]
    dropout: float = Field(default=0.3, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    drop_path: float = Field(default=0.3, ge=0, lt=1)
    layer_decay: float = Field(default=0.8, gt=0, le=1)
    head_width: int = Field(default=2048, ge=1, le=1_000_000)


class SemiRecipe(FinetuneRecipe):
    """Semi-supervised evaluation: fine-tuning on a part of the training clips.

    Attributes:
        subset: the part of the training clips that is used.
    """

    has_default = False
    has_draws = True

    kind: Literal["semi"]
    subset: Subset

    @property
    def training_subset(self) -> Subset | None:
        """The part of the training clips that is used."""
        return self.subset


class PretrainingData(Model):
    """The dataset and protocol whose training clips an encoder was pre-trained on."""

    dataset: DatasetName
    protocol: SplitProtocolName


class TransferRecipe(FinetuneRecipe):
    """Transfer learning: fine-tuning an encoder that was pre-trained on another dataset.

    Attributes:
        pretrained_on: what the encoder was pre-trained on.
    """

    requires_encoder = True
    has_default = False

    kind: Literal["transfer"]
    pretrained_on: PretrainingData

    @model_validator(mode="after")
    def _another_dataset(self) -> Self:
        if self.pretrained_on.dataset == self.dataset:
            raise ValueError(f"pretrained_on.dataset must be another one than dataset ({self.dataset})")
        return self


class KnnOptions(Model):
    """Options of kNN classification.

    Attributes:
        k: number of nearest clips that vote; accuracy is measured for each.
    """

    k: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(default=(1, 20), min_length=1)
