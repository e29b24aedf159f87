"""What recipes are made of: the network's shape, samples, masking, target, optimiser and schedule.

Defaults are the paper's (section 4.2; reference.md §3–5).
"""

from typing import Literal

from pydantic import Field, model_validator

from mamp_schemas.base import Model


class ModelSpec(Model):
    """The transformer's shape.

    Attributes:
        joints: V.
        frames: T, the length clips are resized to.
        segment: l, frames of one joint that form a token; L = T/l · V tokens.
        width, depth, heads: the encoder's D, blocks and attention heads.
        mlp_ratio: hidden width of a block's MLP over D.
        decoder_width, decoder_depth, decoder_heads: the same of the decoder.
        input: what the encoder sees: `joint` positions, or their `motion` from frame to frame (table 7).
    """

    input: Literal["joint", "motion"] = "joint"
    joints: int = Field(default=25, ge=1)
    frames: int = Field(default=120, ge=1)
    segment: int = Field(default=4, ge=1)
    width: int = Field(default=256, ge=1)
    depth: int = Field(default=8, ge=1)
    heads: int = Field(default=8, ge=1)
    mlp_ratio: int = Field(default=4, ge=1)
    decoder_width: int = Field(default=256, ge=1)
    decoder_depth: int = Field(default=5, ge=1)
    decoder_heads: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _divisible(self) -> "ModelSpec":
        if self.frames % self.segment:
            raise ValueError(f"frames ({self.frames}) must be a multiple of segment ({self.segment})")
        if self.frames < 2 * self.segment:
            raise ValueError("motion intensity needs two segments: frames must be at least 2 · segment")
        if self.width % self.heads or self.decoder_width % self.decoder_heads:
            raise ValueError("width must be a multiple of heads, decoder_width of decoder_heads")
        return self

    @property
    def segments(self) -> int:
        """Te = T / l."""
        return self.frames // self.segment

    @property
    def tokens(self) -> int:
        """L = Te · V."""
        return self.segments * self.joints


class SamplingSpec(Model):
    """How a clip becomes a sample of T frames.

    Attributes:
        crop_min, crop_max: the training crop's share of the valid frames, p ~ U[crop_min, crop_max].
        min_frames: the shortest training crop in frames, where the clip has as many.
        test_crop: the centred share kept in testing. The paper says 0.9, the authors' configurations 0.95.
        rotation: training rotation about each axis, U(-rotation, rotation) radians.
    """

    crop_min: float = Field(default=0.5, gt=0, le=1)
    crop_max: float = Field(default=1.0, gt=0, le=1)
    min_frames: int = Field(default=64, ge=1)
    test_crop: float = Field(default=0.9, gt=0, le=1)
    rotation: float = Field(default=0.3, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "SamplingSpec":
        if self.crop_min > self.crop_max:
            raise ValueError(f"crop_min ({self.crop_min}) must not exceed crop_max ({self.crop_max})")
        return self


class MaskingSpec(Model):
    """Which tokens are hidden (section 3.4).

    Attributes:
        ratio: share of the L tokens that is hidden; int(L · (1 - ratio)) are kept.
        strategy: `motion` hides what moves most with the highest probability, `uniform` at random.
        temperature: τ of eq. 5; unused by `uniform`.
    """

    ratio: float = Field(default=0.9, gt=0, lt=1)
    strategy: Literal["motion", "uniform"] = "motion"
    temperature: float = Field(default=0.8, gt=0)


class TargetSpec(Model):
    """What the network predicts of hidden tokens (section 3.5).

    Attributes:
        kind: `motion` (MAMP) or `joint` (SkeletonMAE*).
        stride: m of eq. 2; unused by `joint`.
        normalise: whether each token is brought to mean 0 and variance 1.
    """

    kind: Literal["motion", "joint"] = "motion"
    stride: int = Field(default=1, ge=1)
    normalise: bool = True


class AdamW(Model):
    """AdamW; weight decay spares one-dimensional parameters."""

    kind: Literal["adamw"]
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.05, ge=0)


class SGD(Model):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


class ScheduleSpec(Model):
    """Linear warm-up from 0 to `lr`, then half a cosine to `final_lr`; moves every step."""

    epochs: int = Field(ge=0)
    warmup_epochs: float = Field(default=0, ge=0)
    lr: float = Field(gt=0)
    final_lr: float = Field(default=0.0, ge=0)
