"""A rank's share of every training batch, divided further where a device cannot take it at once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mamp_schemas.errors import RecipeError
from mamp_trainer.data.batches import TrainBatches
from mamp_trainer.data.samples import Batch
from mamp_trainer.ranks.group import ALONE, Ranks


class Part(NamedTuple):
    """Clips that a device takes at once, and their part in the loss: their terms over the global batch's.

    The loss of a batch is the mean over all of its terms, whoever computes them. So the means of the parts count
    by weight, and their gradients add up to that of the whole.
    """

    batch: Batch
    weight: float


class Shares:
    """The parts of training batches that one rank takes.

    Args:
        batches: the global batches.
        ranks: among whom they are divided.
        micro_batch: clips that a device takes at once; None for no limit.
        ids: what the clips are called.

    Raises:
        RecipeError: a batch has fewer clips than there are ranks.
    """

    def __init__(
        self, batches: TrainBatches, ranks: Ranks = ALONE, micro_batch: int | None = None, ids: Sequence[str] = ()
    ) -> None:
        self.clips = min(batches.batch_size, len(batches.clips))
        """Clips of a global batch."""
        if self.clips < ranks.count:
            raise RecipeError(
                f"a batch of {self.clips} clips cannot be divided among {ranks.count} ranks",
                remedy="Raise batch_size, or use fewer devices.",
            )
        share = -(-self.clips // ranks.count)
        self._parts = -(-share // (micro_batch or share))
        self.at_once = -(-share // self._parts)
        """Clips of the largest part."""
        self._batches, self._ranks, self._ids = batches, ranks, ids

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._batches.steps

    def parts(self, epoch: int, step: int) -> Iterator[Part]:
        """Yield this rank's parts of a batch, as many on every rank but for those without clips.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
        """
        whole, count = self.terms(epoch, step), self._ranks.count * self._parts
        for number in range(self._ranks.rank * self._parts, (self._ranks.rank + 1) * self._parts):
            terms = self._batches.terms(epoch, step, number, count)
            if terms:
                yield Part(self._batches.batch(epoch, step, number, count), terms / whole)

    def terms(self, epoch: int, step: int) -> int:
        """Return the terms of a global batch's loss."""
        return self._batches.terms(epoch, step)

    def names(self, epoch: int, step: int) -> list[str]:
        """Return the ids of a global batch's clips."""
        return [self._ids[clip] for clip in self._batches.chosen(epoch, step).tolist()]
