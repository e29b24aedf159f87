"""Masked motion prediction (section 3): mask tokens, those that move most with the highest probability.

The target is the motion of the masked tokens.

Shapes as in `models/mamp.py`: B sequences, T frames, V joints, C coordinates, l frames of a token, L tokens.
"""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mamp_schemas.models.objectives import MAMPRecipe, MaskingSpec, SkeletonMAERecipe, TargetSpec
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws, RngStream
from mamp_trainer.models.mamp import MAMP, from_tokens, motion, to_tokens
from mamp_trainer.models.precision import autocast
from mamp_trainer.objectives.base import Loss, Objective, Reconstruction
from mamp_trainer.telemetry.flops import BACKWARD, decoder_flops, encoder_flops

VARIANCE_EPSILON = 1e-6

R = TypeVar("R", bound=MAMPRecipe | SkeletonMAERecipe)


def target_tokens(x_BTVC: Tensor, trajectory_BTVC: Tensor, segment: int, spec: TargetSpec) -> Tensor:
    """Return what each token's target is, in metres: its motion (eq. 2-3) or its joints.

    Args:
        x_BTVC: (B, T, V, C), the joints, target of `joint`.
        trajectory_BTVC: (B, T, V, C), what the motion is taken from, target of `motion`.
        segment: l.
        spec: which target.

    Returns:
        (B, L, l·C).
    """
    return to_tokens(motion(trajectory_BTVC, spec.stride) if spec.kind == "motion" else x_BTVC, segment)


def prediction_target(x_BTVC: Tensor, trajectory_BTVC: Tensor, segment: int, spec: TargetSpec) -> Tensor:
    """Return the target of every token (B, L, l·C), normalised where `spec` says so; arguments as above."""
    tokens = target_tokens(x_BTVC, trajectory_BTVC, segment, spec)
    return normalise_tokens(tokens) if spec.normalise else tokens


def normalise_tokens(tokens: Tensor) -> Tensor:
    """Bring each token (B, L, l·C) to mean 0 and variance 1 (section 3.5), by its own mean and unbiased variance."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True)
    return (tokens - mean) / (variance + VARIANCE_EPSILON).sqrt()


def denormalise_tokens(predicted: Tensor, tokens: Tensor) -> Tensor:
    """Give predictions (B, L, l·C) of normalised tokens the mean and variance of the true tokens."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True)
    return predicted * (variance + VARIANCE_EPSILON).sqrt() + mean


def masked_error(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the squared error, mean within a token, then over the masked tokens of all sequences (eq. 11).

    Args:
        pred: (B, L, l·C).
        target: (B, L, l·C).
        mask: (B, L) bool, true where masked.
    """
    error = (pred - target).square().mean(dim=-1)
    return (error * mask).sum() / mask.sum()


class MaskedPrediction(Objective[R], Generic[R]):
    """Mask tokens, predict all, and compare the masked ones with their targets.

    Args:
        recipe: the run's.
        masking: which tokens are masked.
        target: what is predicted of them.
    """

    def __init__(self, recipe: R, masking: MaskingSpec, target: TargetSpec) -> None:
        super().__init__(recipe)
        self.masking, self.target = masking, target

    def build(self) -> nn.Module:
        """Return the network of the paper with initial weights."""
        return MAMP(self.recipe.model, self.masking)

    def loss(self, module: nn.Module, batch: Batch, draws: Draws) -> Loss:
        """Return the error of masked tokens (eq. 11), the mean over all sequences.

        With `empty_bodies: skip` it is the mean over the sequences of real bodies.

        The random numbers of the mask depend on seed, epoch, clip and slot alone.
        """
        x_BTVC, u_BL, trajectory_BTVC = self._sequences(batch, draws, skip_empty=self.recipe.empty_bodies == "skip")
        with autocast(self.recipe.precision, x_BTVC.device):
            pred, mask = module(x_BTVC, u_BL, trajectory_BTVC)
            target = prediction_target(x_BTVC, trajectory_BTVC, self.recipe.model.segment, self.target)
            return Loss(masked_error(pred, target, mask))

    def num_loss_terms(self, bodies: Tensor, slots: int) -> Tensor:
        """Return how many sequences each clip adds to the mean: its body slots, or its real bodies."""
        return bodies if self.recipe.empty_bodies == "skip" else super().num_loss_terms(bodies, slots)

    def flops(self) -> int:
        """Return the operations of one sequence, forward and backward."""
        spec, kept = self.recipe.model, kept_tokens(self.recipe.model, self.masking.ratio)
        return (1 + BACKWARD) * (encoder_flops(spec, kept) + decoder_flops(spec, kept))

    def activation_bytes(self) -> int:
        """Estimate what the blocks keep of one sequence for the backward pass.

        For each token a block keeps eight vectors (inputs and outputs of both norms; query, key and value; the output
        of attention) and twice the hidden vector of the MLP (before and after GELU).
        """
        spec, kept = self.recipe.model, kept_tokens(self.recipe.model, self.masking.ratio)
        numbers = kept * spec.depth * spec.width + spec.tokens * spec.decoder_depth * spec.decoder_width
        # With bf16, the inputs of the norms are still float32.
        bytes_of_number = 2.5 if self.recipe.precision == "bf16" else 4.0
        return int(numbers * (8 + 2 * spec.mlp_ratio) * bytes_of_number)

    def reconstruct(self, module: nn.Module, batch: Batch, draws: Draws) -> Reconstruction:
        """Return what the network predicts, normalised tokens in metres by the true token's mean and variance."""
        spec = self.recipe.model
        x_BTVC, u_BL, trajectory_BTVC = self._sequences(batch, draws, skip_empty=False)
        with autocast(self.recipe.precision, x_BTVC.device):
            pred, mask = module(x_BTVC, u_BL, trajectory_BTVC)
        pred = pred.float()
        truth = target_tokens(x_BTVC, trajectory_BTVC, spec.segment, self.target)
        target, in_metres = truth, pred
        if self.target.normalise:
            target, in_metres = normalise_tokens(truth), denormalise_tokens(pred, truth)
        loss = [masked_error(pred[at : at + 1], target[at : at + 1], mask[at : at + 1]) for at in range(len(pred))]
        return Reconstruction(
            truth=from_tokens(truth, spec.joints),
            predicted=from_tokens(in_metres, spec.joints),
            masked=mask.view(-1, spec.segments, spec.joints),
            loss=torch.stack(loss),
            target=self.target.kind,
            normalised=self.target.normalise,
            masking=_describe_masking(self.masking),
        )

    def _sequences(self, batch: Batch, draws: Draws, skip_empty: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return the B sequences of a batch, the draws for their masks (B, L), and what their motion is taken from."""
        tokens = self.recipe.model.tokens
        u_BL = draws.uniform(RngStream.MASK, batch.x.shape[1] * tokens).view(-1, tokens)
        x_BTVC = batch.x.flatten(0, 1)
        trajectory_BTVC = x_BTVC if batch.trajectory is None else batch.trajectory.flatten(0, 1)
        if skip_empty:
            real = batch.unique_bodies.bodies
            return x_BTVC[real], u_BL[real], trajectory_BTVC[real]
        return x_BTVC, u_BL, trajectory_BTVC


def _describe_masking(masking: MaskingSpec) -> str:
    temperature = f", τ {masking.temperature:g}" if masking.strategy == "motion" else ""
    return f"{masking.strategy}, ratio {masking.ratio:g}{temperature}"


def kept_tokens(spec: ModelSpec, ratio: float) -> int:
    """Return K, how many of the L tokens the encoder sees: int(L · (1 - ratio)), as published."""
    return int(spec.tokens * (1 - ratio))


class MAMPObjective(MaskedPrediction[MAMPRecipe]):
    """Masked motion prediction; with other masking and targets, the paper's ablations."""

    options = MAMPRecipe
    summary = "masked motion prediction, the paper's objective"

    def __init__(self, recipe: MAMPRecipe) -> None:
        super().__init__(recipe, recipe.masking, recipe.target)
