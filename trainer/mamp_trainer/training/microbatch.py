"""Split batches into microbatches, and add up their gradients over microbatches and ranks.

Why not DistributedDataParallel: the ranks' losses are means over unequal numbers of terms, so gradients must be
weighted and added, not averaged. Microbatches need no `no_sync`, and the network keeps the names of its parameters.
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
    """Clips that a device processes at once.

    The loss of a batch is the mean over all of its loss terms. So a microbatch's mean counts by its weight, and the
    weighted gradients of all microbatches add up to the gradient of the batch.

    Attributes:
        batch: the clips.
        weight: their loss terms over those of the global batch.
    """

    batch: Batch
    weight: float


class MicrobatchSampler:
    """One rank's microbatches of every training batch.

    Args:
        batches: the global batches.
        dist_context: the ranks that they are divided among.
        micro_batch: clips that a device processes at once; None for no limit.
        ids: of the clips.

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
        self.microbatches_per_rank = -(-share // (micro_batch or share))
        """Microbatches that a rank has of each batch, at most."""
        self.microbatch_size = -(-share // self.microbatches_per_rank)
        """Clips of the largest microbatch."""
        self._batches, self._ranks, self._ids = batches, dist_context, ids

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._batches.steps

    def microbatches(self, epoch: int, step: int) -> Iterator[Microbatch]:
        """Yield this rank's microbatches of a batch; those without clips are left out.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
        """
        batch_terms, per_rank = self.num_loss_terms(epoch, step), self.microbatches_per_rank
        count = self._ranks.world_size * per_rank
        for number in range(self._ranks.rank * per_rank, (self._ranks.rank + 1) * per_rank):
            terms = self._batches.num_loss_terms(epoch, step, number, count)
            if terms:
                yield Microbatch(self._batches.batch(epoch, step, number, count), terms / batch_terms)

    def part(self, epoch: int, step: int, clips: int | None = None) -> tuple[Batch, float]:
        """Return a part of a batch, to be timed, and its work: how many average clips it counts as.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
            clips: of the part, at least, if each rank can have as many; None for the rank's first microbatch.
        """
        ranks = self._ranks.world_size
        count = ranks * self.microbatches_per_rank if clips is None else max(self.batch_size // clips, ranks)
        number = self._ranks.rank * (self.microbatches_per_rank if clips is None else 1)
        terms = self._batches.num_loss_terms(epoch, step, number, count)
        batch = self._batches.batch(epoch, step, number, count)
        return batch, (terms or 1) * self.batch_size / max(self.num_loss_terms(epoch, step), 1)

    def num_loss_terms(self, epoch: int, step: int) -> int:
        """Return the number of loss terms of a global batch."""
        return self._batches.num_loss_terms(epoch, step)

    def clip_ids(self, epoch: int, step: int) -> list[str]:
        """Return the ids of a global batch's clips."""
        return [self._ids[clip] for clip in self._batches.clip_indices(epoch, step).tolist()]


class FlatGradients:
    """The gradients of parameters as views of one tensor, so that one operation zeroes or reduces them all.

    Args:
        parameters: of one dtype, on one device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._flat = torch.cat([torch.zeros_like(parameter).flatten() for parameter in parameters])
        start = 0
        for parameter in parameters:
            parameter.grad = self._flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()

    def zero(self) -> None:
        """Set all gradients to zero; backward passes add to them."""
        self._flat.zero_()

    def all_reduce(self, dist_context: DistContext) -> None:
        """Replace each rank's gradients by their sum over all ranks."""
        dist_context.all_reduce_sum(self._flat)

    def norm(self) -> Tensor:
        """Return the Euclidean norm over all parameters, a scalar on their device."""
        norm: Tensor = torch.linalg.vector_norm(self._flat)
        return norm
