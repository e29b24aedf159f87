"""The rows of clips in memory, and the transfer of a batch's rows to the training device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mamp_trainer.data.host_memory import keep_in_memory
from mamp_trainer.data.sampling import OrderOfEpoch


@dataclass(frozen=True, slots=True)
class RowBuffer:
    """Packed rows of some shards, coordinate by coordinate, unlike in the store: this makes rotating them fast.

    Attributes:
        joints: (rows, C, V) float32, metres.
        trajectory: (rows, C, V) float32, metres, or None: the sum of the stored motion, equal to the joints up to
            one translation a body.
        offset: (S,) int64, in host memory: where each of these shards begins.
        release: called after each use; see `HostRows`.
    """

    joints: Tensor
    trajectory: Tensor | None
    offset: Tensor
    release: Callable[[], None] = keep_in_memory


class RowSource(Protocol):
    """A source of the rows of clips."""

    def row_buffers(self, order_of_epoch: OrderOfEpoch, epoch: int, share: slice) -> Iterator[tuple[slice, RowBuffer]]:
        """Yield rows of the clips at some positions of an epoch's order, part by part.

        A part is valid until the next part is requested.

        Args:
            order_of_epoch: the order of every epoch.
            epoch: 0-based.
            share: positions in its order.

        Raises:
            DamagedStoreError: rows are missing or unreadable.
        """


@dataclass(frozen=True, slots=True)
class ResidentRows:
    """The rows of all clips, loaded once, on the training device or in host memory."""

    buffer: RowBuffer

    def row_buffers(self, _plan: OrderOfEpoch, _epoch: int, share: slice) -> Iterator[tuple[slice, RowBuffer]]:
        """Yield all rows, as one part."""
        yield share, self.buffer
        self.buffer.release()


def gather_to_device(rows: Tensor, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Copy rows to the training device without waiting for it; rows that are there already are not copied.

    Only the copy is page-locked, not all rows: gigabytes of locked memory would be missing to the rest of the
    machine.

    Args:
        rows: (rows, C, V) on `device` or on the host.
        index: (R,) int64, on the host: the rows to be gathered.
        device: the training device.

    Returns:
        Rows and index on the device; these rows may be all of them, or only the gathered ones.
    """
    if rows.device.type == device.type:
        return rows, to_device(index, device)
    shape = (len(index), *rows.shape[1:])
    staged = torch.empty(shape, dtype=rows.dtype, pin_memory=device.type == "cuda")
    torch.index_select(rows, 0, index, out=staged)
    return staged.to(device, non_blocking=True), torch.arange(len(index), device=device)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Move a tensor from the host to a device without waiting for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
