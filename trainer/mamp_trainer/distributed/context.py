"""The ranks of a run and their collective operations."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from mamp_schemas.errors import LostRankError


class DistContext:
    """The ranks of a run, seen from one of them. All ranks call the collective methods, in the same order.

    Args:
        rank: the number of this process, from 0.
        world_size: the number of ranks.
        local_rank: the number of this process on its host, from 0.
        local_world_size: the number of ranks on this host.
        group: the process group that connects the ranks; None for a single process.
    """

    def __init__(
        self,
        rank: int = 0,
        world_size: int = 1,
        local_rank: int = 0,
        local_world_size: int = 1,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self.local_rank = local_rank
        self.local_world_size = local_world_size
        self._group = group

    def close(self) -> None:
        """Destroy the process group. No collective operation may follow.

        This also ends the group's threads. A thread that outlived the group could release a tensor while Python shuts
        down, which aborts the process.
        """
        if self._group is not None:
            self._group = None
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes the files and the log."""
        return self.rank == 0

    @property
    def device_index(self) -> int | None:
        """The local rank, which chooses the GPU; None in a single process."""
        return self.local_rank if self.world_size > 1 else None

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Replace `values` by the sum over all ranks, equal to the last bit on every rank, and return it."""
        if self._group is not None:
            with _lost_rank_errors(self.rank):
                dist.all_reduce(values, group=self._group)
        return values

    def ordered_all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks, added in the order of the ranks.

        `all_reduce_sum` starts at a different rank for each section of a tensor. With three or more ranks the last bit
        of a value therefore depends on the other values in the same call; here it does not.
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
        """Return the largest number of all ranks. Waits for the other ranks, but not for the device."""
        if self._group is None:
            return number
        numbers = torch.tensor([number])
        with _lost_rank_errors(self.rank):
            dist.all_reduce(numbers, op=dist.ReduceOp.MAX, group=self._group)
        return int(numbers)

    def broadcast_str(self, text: str) -> str:
        """Return the text of rank 0."""
        if self._group is None:
            return text
        content = text.encode() if self.is_main else b""
        data = torch.zeros(self.all_reduce_max(len(content)), dtype=torch.uint8)
        if content:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        return bytes(self.all_reduce_sum(data).tolist()).decode()


SINGLE_PROCESS = DistContext()
"""The context of a run in one process; its collective operations return their argument."""


@contextmanager
def _lost_rank_errors(rank: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostRankError(
            f"rank {rank} lost the connection to the other ranks: {str(error).splitlines()[0]}",
            remedy="Find out why another rank ended (memory, node or network), then continue with --resume.",
        ) from error
