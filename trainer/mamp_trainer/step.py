"""Owns one training step: forward, backward, update; and the losses it leaves on the device until asked."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from mamp_schemas.errors import TrainingError
from mamp_trainer.data.samples import Batch
from mamp_trainer.layer_decay import LR_SCALE

Objective = Callable[[Batch, int], Tensor]
"""The loss, a scalar tensor, of a batch in an epoch."""


class Step:
    """An optimiser step that never waits for the device.

    Args:
        objective: the loss to go down.
        optimiser: over the parameters that the objective depends on.
    """

    def __init__(self, objective: Objective, optimiser: Optimizer) -> None:
        self.objective = objective
        self.optimiser = optimiser
        self._pending: list[tuple[int, int, Tensor]] = []

    def __call__(self, batch: Batch, epoch: int, step: int, lr: float) -> None:
        """Take one step.

        Args:
            batch: the clips.
            epoch: 0-based.
            step: 0-based, over all epochs.
            lr: of this step; parameter groups may scale it.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group.get(LR_SCALE, 1.0)
        loss = self.objective(batch, epoch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self._pending.append((epoch, step, loss.detach()))

    def settle(self) -> list[float]:
        """Fetch the losses since the last call, in one transfer, and check them.

        Raises:
            TrainingError: a loss is not finite; names the first such step.
        """
        if not self._pending:
            return []
        losses: list[float] = torch.stack([loss for _, _, loss in self._pending]).tolist()
        for (epoch, step, _), loss in zip(self._pending, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss of step {step + 1} (epoch {epoch + 1}) is {loss}, not a finite number",
                    remedy="Check the store with `mampctl verify`, or lower schedule.lr. "
                    "The checkpoints before this step are kept.",
                )
        self._pending.clear()
        return losses
