"""Owns one training step: forward, backward, update; and the losses it leaves on the device until asked."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.errors import TrainingError
from mamp_trainer.data.samples import Batch
from mamp_trainer.layer_decay import LR_SCALE
from mamp_trainer.ranks.gradients import FlatGradients
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.ranks.shares import Microbatch

LossFn = Callable[[Batch, int], Tensor]
"""The mean loss, a scalar tensor, of a batch in an epoch."""


class StepStats(NamedTuple):
    """What steps left, one number a step: the loss of the global batch, and the norm of its gradient."""

    losses: list[float]
    norms: list[float]


class TrainStep:
    """An optimiser step that never waits for the device.

    Args:
        objective: the loss to go down.
        optimiser: over the parameters that the objective depends on.
        ranks: who takes the step together.
    """

    def __init__(self, loss_fn: LossFn, optimiser: Optimizer, dist_context: DistContext = SINGLE_PROCESS) -> None:
        self.loss_fn = loss_fn
        self.optimiser = optimiser
        self.dist_context = dist_context
        self._gradients = FlatGradients([each for group in optimiser.param_groups for each in group["params"]])
        self._pending: list[tuple[int, int, Tensor, Tensor]] = []

    def __call__(self, microbatches: Iterable[Microbatch], epoch: int, step: int, lr: float) -> None:
        """Take one step.

        Args:
            parts: this rank's clips, at least one part.
            epoch: 0-based.
            step: 0-based, within the epoch.
            lr: of this step; parameter groups may scale it.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group.get(LR_SCALE, 1.0)
        self._gradients.zero()
        losses = [self._forward_backward(part, epoch) for part in microbatches]
        self._gradients.all_reduce(self.dist_context)
        self.optimiser.step()
        self._pending.append((epoch, step, torch.stack(losses).sum(), self._gradients.norm()))

    def flush_metrics(self, clip_ids: Callable[[int, int], list[str]]) -> StepStats:
        """Fetch what steps left since the last call, in one transfer, and check it; called by all ranks.

        Args:
            names: returns the ids of the clips of a step, by epoch and step within it.

        Raises:
            TrainingError: a loss or gradient is not finite; names the first such step and its clips.
        """
        if not self._pending:
            return StepStats([], [])
        losses = self.dist_context.ordered_all_reduce(torch.stack([loss for _, _, loss, _ in self._pending]))
        norms = torch.stack([norm for _, _, _, norm in self._pending])
        taken = StepStats(*torch.stack((losses.to(norms.dtype), norms)).tolist())
        for (epoch, step, _, _), loss, norm in zip(self._pending, *taken, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise _non_finite_error(epoch, step, loss, norm, clip_ids(epoch, step))
        self._pending.clear()
        return taken

    def _forward_backward(self, microbatch: Microbatch, epoch: int) -> Tensor:
        """Add a part's gradients to the others, and return its part of the loss."""
        loss = self.loss_fn(microbatch.batch, epoch) * microbatch.weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def _non_finite_error(epoch: int, step: int, loss: float, norm: float, clips: list[str]) -> TrainingError:
    what = f"loss is {loss}" if not math.isfinite(loss) else f"loss is {loss:.6g}, its gradient's norm {norm}"
    return TrainingError(
        f"step {step + 1} of epoch {epoch + 1}: the {what}, not a finite number. The clips of the batch:\n"
        f"  {' '.join(clips)}",
        remedy="Check the store with `mampctl verify`, or lower schedule.lr. "
        "The checkpoints kept are from before this step, and sound.",
    )
