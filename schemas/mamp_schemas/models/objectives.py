"""The options of the pre-training objectives that come along: their recipes, and the specs these are made of."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model
from mamp_schemas.models.recipe import PretrainRecipe

EmptyBodies = Literal["keep", "skip"]


class MaskingSpec(Model):
    """Which tokens are masked (section 3.4).

    Attributes:
        ratio: share of the L tokens that is masked; int(L · (1 - ratio)) are kept.
        strategy: `motion` masks tokens that move more with a higher probability, `uniform` all with the same.
        temperature: τ of eq. 5; unused by `uniform`.
    """

    ratio: float = Field(default=0.9, gt=0, lt=1)
    strategy: Literal["motion", "uniform"] = "motion"
    temperature: float = Field(default=0.8, gt=0, le=1e6)


class TargetSpec(Model):
    """What the network predicts of masked tokens (section 3.5).

    Attributes:
        kind: `motion` (MAMP) or `joint` (SkeletonMAE*).
        stride: m of eq. 2; unused by `joint`.
        normalise: whether each token is brought to mean 0 and variance 1.
    """

    kind: Literal["motion", "joint"] = "motion"
    stride: int = Field(default=1, ge=1, le=100_000)
    normalise: bool = True


class UniformMaskingSpec(Model):
    """Masking in which every token is masked with the same probability.

    Attributes:
        ratio: share of the L tokens that is masked; int(L · (1 - ratio)) are kept.
    """

    ratio: float = Field(default=0.9, gt=0, lt=1)
    strategy: Literal["uniform"] = "uniform"


class JointTargetSpec(Model):
    """Joint positions as the prediction's target.

    Attributes:
        normalise: whether each token is brought to mean 0 and variance 1.
    """

    kind: Literal["joint"] = "joint"
    normalise: bool = True


class MAMPRecipe(PretrainRecipe):
    """Masked motion prediction (section 3); other masking and targets are the paper's ablations.

    Attributes:
        motion_source: `online` takes differences of the augmented sample, as published; `stored` carries the
            store's motion rows through the same crop, resize and rotation.
        empty_bodies: `keep` trains on every body slot, as published; `skip` leaves out the slots that no body
            fills, whether they hold zeros or a copy of the first body. The loss is then over the masked tokens of
            real bodies; which tokens of these are masked does not change.
    """

    masking: MaskingSpec = MaskingSpec()
    target: TargetSpec = TargetSpec()
    motion_source: Literal["online", "stored"] = "online"
    empty_bodies: EmptyBodies = "keep"

    @property
    def stored_motion(self) -> dict[str, int] | None:
        """What the run needs of the store's motion, by field of `MotionSpec`; None where it reads no stored motion."""
        if self.motion_source == "online":
            return None
        stride = {"stride": self.target.stride} if self.target.kind == "motion" else {}
        return {"segment": self.model.segment, **stride}

    @model_validator(mode="after")
    def _fits_network(self) -> Self:
        check_masking_ratio(self, self.masking.ratio)
        if self.target.kind == "motion" and self.target.stride >= self.model.frames:
            raise ValueError(f"target.stride must be below model.frames ({self.model.frames})")
        return self


class SkeletonMAERecipe(PretrainRecipe):
    """SkeletonMAE*, the paper's baseline (section 4.4): joints are predicted, tokens are masked uniformly.

    Attributes:
        empty_bodies: as in `MAMPRecipe`.
    """

    masking: UniformMaskingSpec = UniformMaskingSpec()
    target: JointTargetSpec = JointTargetSpec()
    empty_bodies: EmptyBodies = "keep"

    @model_validator(mode="after")
    def _fits_network(self) -> Self:
        check_masking_ratio(self, self.masking.ratio)
        return self


def check_masking_ratio(recipe: PretrainRecipe, ratio: float) -> None:
    """Check that some token is kept and some token is masked.

    Raises:
        ValueError: all or none are.
    """
    kept = int(recipe.model.tokens * (1 - ratio))
    if not 0 < kept < recipe.model.tokens:
        raise ValueError(f"masking.ratio {ratio} keeps {kept} of {recipe.model.tokens} tokens")
