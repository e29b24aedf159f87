"""A rank's microbatches of every training batch, and the gradients that they add up to.

Why not DistributedDataParallel: the ranks' losses are means over unequal numbers of terms, so gradients are to
be added, weighted, not averaged; microbatches add up by themselves, without a switch that holds back
communication; and the network stays the network, under its own names.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mamp_schemas.errors import RecipeError
from mamp_trainer.data.batches import TrainBatches
from mamp_trainer.data.collate import Batch
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext


class Microbatch(NamedTuple):
    """Clips that a device takes at once, and their part in the loss: their terms over the global batch's.

    The loss of a batch is the mean over all of its terms, whoever computes them. So the means of the parts count
    by weight, and their gradients add up to that of the whole.
    """

    batch: Batch
    weight: float


class MicrobatchSampler:
    """The parts of training batches that one rank takes.

    Args:
        batches: the global batches.
        dist_context: among whom they are divided.
        micro_batch: clips that a device takes at once; None for no limit.
        ids: what the clips are called.

    Raises:
        RecipeError: a batch has fewer clips than there are ranks.
    """

    def __init__(
        self,
        batches: TrainBatches,
        dist_context: DistContext = SINGLE_PROCESS,
        micro_batch: int | None = None,
        ids: Sequence[str] = (),
    ) -> None:
        self.batch_size = min(batches.batch_size, len(batches.clips))
        """Clips of a global batch."""
        if self.batch_size < dist_context.world_size:
            raise RecipeError(
                f"a batch of {self.batch_size} clips cannot be divided among {dist_context.world_size} ranks",
                remedy="Raise batch_size, or use fewer devices.",
            )
        share = -(-self.batch_size // dist_context.world_size)
        self._microbatches_per_rank = -(-share // (micro_batch or share))
        self.microbatch_size = -(-share // self._microbatches_per_rank)
        """Clips of the largest part."""
        self._batches, self._ranks, self._ids = batches, dist_context, ids

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._batches.steps

    def microbatches(self, epoch: int, step: int) -> Iterator[Microbatch]:
        """Yield this rank's parts of a batch, as many on every rank but for those without clips.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
        """
        whole, count = self.num_loss_terms(epoch, step), self._ranks.world_size * self._microbatches_per_rank
        for number in range(
            self._ranks.rank * self._microbatches_per_rank, (self._ranks.rank + 1) * self._microbatches_per_rank
        ):
            terms = self._batches.num_loss_terms(epoch, step, number, count)
            if terms:
                yield Microbatch(self._batches.batch(epoch, step, number, count), terms / whole)

    def num_loss_terms(self, epoch: int, step: int) -> int:
        """Return the terms of a global batch's loss."""
        return self._batches.num_loss_terms(epoch, step)

    def clip_ids(self, epoch: int, step: int) -> list[str]:
        """Return the ids of a global batch's clips."""
        return [self._ids[clip] for clip in self._batches.clip_indices(epoch, step).tolist()]


class FlatGradients:
    """Makes the gradients of parameters views of one tensor.

    Args:
        parameters: of one dtype, on one device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._flat = torch.cat([torch.zeros_like(parameter).flatten() for parameter in parameters])
        at = 0
        for parameter in parameters:
            parameter.grad = self._flat[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()

    def zero(self) -> None:
        """Set all of them to zero, for backward passes to add to."""
        self._flat.zero_()

    def all_reduce(self, dist_context: DistContext) -> None:
        """Replace each rank's gradients by their sum over all ranks."""
        dist_context.all_reduce_sum(self._flat)

    def norm(self) -> Tensor:
        """Return the Euclidean norm over all parameters, a scalar on their device."""
        norm: Tensor = torch.linalg.vector_norm(self._flat)
        return norm
