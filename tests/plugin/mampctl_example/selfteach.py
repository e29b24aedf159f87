"""An objective: a student sees a part of the tokens, and predicts a slowly moving teacher's features of them."""

import copy
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from mamp_schemas.models.recipe import ModelSpec, PretrainRecipe
from mamp_trainer.models.mamp import Encoder, keep_smallest
from mamp_trainer.objectives.base import Batch, Draws, Loss, Objective
from mamp_trainer.telemetry.flops import BACKWARD, encoder_flops

RECIPE = """
name: stick9-selfteach
summary: stick figures, the features of a slowly moving teacher
objective: selfteach
dataset: stick9
protocol: xsub
model: {joints: 9, frames: 8, segment: 4, width: 16, depth: 1, heads: 2}
optimiser: {kind: adamw}
schedule: {epochs: 4, lr: 1.0e-3}
batch_size: 4
checkpoint_every: 1
sampling: {min_frames: 8}
"""


class SelfTeachRecipe(PretrainRecipe):
    """Fields of the objective.

    Attributes:
        ratio: share of the tokens that the student does not see.
        momentum: share of the teacher's weights that a step keeps.
    """

    recipes: ClassVar[dict[str, str]] = {"stick9-selfteach": RECIPE}

    objective: Literal["selfteach"] = "selfteach"
    ratio: float = Field(default=0.75, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)


class Pair(nn.Module):
    """Student, teacher and the student's prediction of the teacher."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.encoder = Encoder(spec)
        self.predictor = nn.Linear(spec.width, spec.width)
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)


class SelfTeachObjective(Objective[SelfTeachRecipe]):
    """Squared error between the student's prediction and the teacher's normalised features of the kept tokens."""

    options = SelfTeachRecipe
    summary = "the features of a slowly moving teacher"
    encoder_prefix = "teacher."

    def build(self) -> Pair:
        """Return the network with initial weights."""
        return Pair(self.recipe.model)

    def loss(self, module: Pair, batch: Batch, draws: Draws) -> Loss:
        """Return the error, with the mean size of the teacher's features as a part that metrics show."""
        tokens = self.recipe.model.tokens
        x_BTVC = batch.x.flatten(0, 1)
        u_BL = draws.uniform("mask", batch.x.shape[1] * tokens).view(-1, tokens)
        keep, _ = keep_smallest(u_BL, self.recipe.ratio)
        with torch.no_grad():
            features = module.teacher(x_BTVC).take_along_dim(keep[:, :, None], dim=1)
            target = nn.functional.layer_norm(features, features.shape[-1:])
        error = (module.predictor(module.encoder(x_BTVC, keep)) - target).square().mean()
        return Loss(error, {"teacher_size": features.square().mean()})

    def after_step(self, module: Pair, step: int, steps: int) -> None:
        """Move the teacher towards the student."""
        with torch.no_grad():
            for mine, theirs in zip(module.teacher.parameters(), module.encoder.parameters(), strict=True):
                mine.lerp_(theirs, 1 - self.recipe.momentum)

    def flops(self) -> int:
        """Return the operations of one sequence: the student there and back, the teacher there."""
        spec = self.recipe.model
        kept = int(spec.tokens * (1 - self.recipe.ratio))
        return (1 + BACKWARD) * encoder_flops(spec, kept) + encoder_flops(spec, spec.tokens)
