"""The processes that train together, and their collective operations."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from mamp_schemas.errors import LostRankError


class DistContext:
    """The ranks of a run, as one of them sees them. Every method is called by all of them, in the same order.

    Args:
        rank, world_size: which one, of how many.
        local_rank, local_world_size: which one of how many on this host.
        group: connects them; None for a single one.
    """

    def __init__(
        self,
        rank: int = 0,
        world_size: int = 1,
        local_rank: int = 0,
        local_world_size: int = 1,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        self.rank, self.world_size, self.local_rank, self.local_world_size = (
            rank,
            world_size,
            local_rank,
            local_world_size,
        )
        self._group = group

    def close(self) -> None:
        """Let go of the others, none of whom is to be asked anything more.

        The group's threads end with it. Were they to live on, one could let go of a tensor while Python is being
        taken down, which aborts the process.
        """
        if self._group is not None:
            self._group = None
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that writes and tells."""
        return self.rank == 0

    @property
    def device_index(self) -> int | None:
        """Which rank of this host this is; None for the only one of the run."""
        return self.local_rank if self.world_size > 1 else None

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Replace each rank's values by their sum over all ranks, the same to the last bit everywhere."""
        if self._group is not None:
            with _lost_rank_errors(self.rank):
                dist.all_reduce(values, group=self._group)
        return values

    def ordered_all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks, each value added in the ranks' order.

        `add` begins at another rank for each part of a tensor, so that with three ranks and more its last bit depends
        on what else is added in the same call.
        """
        if self._group is None:
            return values
        rows = values.new_zeros((self.world_size, *values.shape))
        rows[self.rank] = values
        total, *others = self.all_reduce_sum(rows).unbind()
        for row in others:
            total = total + row
        return total

    def all_reduce_max(self, number: int) -> int:
        """Return the largest number of all ranks. Waits for the other ranks, not for the device."""
        if self._group is None:
            return number
        numbers = torch.tensor([number])
        with _lost_rank_errors(self.rank):
            dist.all_reduce(numbers, op=dist.ReduceOp.MAX, group=self._group)
        return int(numbers)

    def broadcast_str(self, text: str) -> str:
        """Return the first rank's text."""
        if self._group is None:
            return text
        content = text.encode() if self.is_main else b""
        data = torch.zeros(self.all_reduce_max(len(content)), dtype=torch.uint8)
        if content:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        return bytes(self.all_reduce_sum(data).tolist()).decode()


SINGLE_PROCESS = DistContext()
"""The only rank of a run in one process."""


@contextmanager
def _lost_rank_errors(rank: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as problem:
        raise LostRankError(
            f"rank {rank} lost the others: {str(problem).splitlines()[0]}",
            remedy="Look for what ended another rank: memory, a node, the network. Go on with --resume.",
        ) from problem
