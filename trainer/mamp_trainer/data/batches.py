"""Training and test batches of clips, each a pure function of seed, epoch and step."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from mamp_schemas.models.recipe import SamplingSpec
from mamp_trainer.data import augment
from mamp_trainer.data.clips import ClipTable
from mamp_trainer.data.collate import Batch, CropPlan, SampleShape, collate
from mamp_trainer.data.rng import RngStream, uniform
from mamp_trainer.data.rows import RowSource
from mamp_trainer.data.sampling import (
    ClipOrder,
    OrderOfEpoch,
    batch_positions,
    epoch_order,
    steps_per_epoch,
    store_order,
)

EmptySlot = Literal["zeros", "copy"]


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips that batches are made of.

    Attributes:
        table: their columns.
        rows: provides their rows.
        window: shards whose clips are shuffled together, None for all; at least as many as `rows` holds at a time.
        device: the training device, where batches are made.
    """

    table: ClipTable
    rows: RowSource
    window: int | None
    device: torch.device

    def __len__(self) -> int:
        return len(self.table)


@dataclass
class TrainBatches:
    """Training batches in a seeded order, with random crops and rotations.

    A batch is a pure function of seed, epoch, step and window, and every sample of seed, epoch and clip: neither the
    device, nor where the clips live, nor the number of ranks changes them, and a run can resume at any step.

    Attributes:
        clips: the clips to train on.
        sampling: bounds of crop and rotation.
        frames: T.
        seed: of the run.
        batch_size: clips of the global batch, over all ranks.
        slots: M, the dataset's body slots.
        empty_slot: what a slot without a body holds.
        loss_terms: (clips,) int64, on the host: how many terms of the loss each clip gives; one by default.
    """

    clips: Clips
    sampling: SamplingSpec
    frames: int
    seed: int
    batch_size: int
    slots: int
    empty_slot: EmptySlot
    loss_terms: Tensor | None = None
    _orders: dict[int, ClipOrder] = field(default_factory=dict, init=False, repr=False)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.clips), self.batch_size)

    def batch(self, epoch: int, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a rank's share of a global batch.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
            rank: which share.
            world_size: of how many.

        Raises:
            DamagedStoreError: clips are streamed, and rows are missing or unreadable.
        """
        share = self._share(step, rank, world_size)
        clip = self.order(epoch).clip[share]
        crop = uniform(self.seed, epoch, RngStream.CROP, clip, 2)
        start, length = augment.random_crop(self.clips.table.valid_frames[clip], crop, self.sampling)
        angles = uniform(self.seed, epoch, RngStream.ROTATION, clip, 3)
        crops = CropPlan(clip, start, length, augment.random_rotations(angles, self.sampling.rotation))
        return _collate_crops(self, crops, self.order, epoch, share)

    def clip_indices(self, epoch: int, step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """Return the clips of a rank's share, (N,) int64 on the host, without reading them."""
        return self.order(epoch).clip[self._share(step, rank, world_size)]

    def num_loss_terms(self, epoch: int, step: int, rank: int = 0, world_size: int = 1) -> int:
        """Return how many terms of the loss a rank's share gives."""
        clips = self.clip_indices(epoch, step, rank, world_size)
        return len(clips) if self.loss_terms is None else int(self.loss_terms[clips].sum())

    def _share(self, step: int, rank: int, ranks: int) -> slice:
        return batch_positions(step, self.batch_size, len(self.clips), rank, ranks)

    def order(self, epoch: int) -> ClipOrder:
        """Return the order of the clips in an epoch."""
        if epoch not in self._orders:
            kept = {near: order for near, order in self._orders.items() if abs(near - epoch) == 1}
            self._orders = kept | {epoch: epoch_order(self.seed, epoch, self.clips.table, self.clips.window)}
        return self._orders[epoch]


@dataclass
class TestBatches:
    """Every clip once, in the store's order, with the centred crop; the last batch may be smaller.

    Attributes:
        clips, frames, slots, empty_slot: as in `TrainBatches`.
        sampling: its `test_crop` is the share kept.
        batch_size: clips of a batch, over all ranks.
    """

    clips: Clips
    sampling: SamplingSpec
    frames: int
    batch_size: int
    slots: int
    empty_slot: EmptySlot

    def __post_init__(self) -> None:
        self._order = store_order(self.clips.table, self.clips.window)

    @property
    def steps(self) -> int:
        """Batches of all clips."""
        return -(-len(self.clips) // self.batch_size)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a rank's share of a batch; it is empty where there are fewer clips left than ranks."""
        share = batch_positions(step, self.batch_size, len(self.clips), rank, world_size)
        clip = self._order.clip[share]
        start, length = augment.centre_crop(self.clips.table.valid_frames[clip], self.sampling.test_crop)
        return _collate_crops(self, CropPlan(clip, start, length, None), lambda _epoch: self._order, 0, share)


def _collate_crops(
    batches: TrainBatches | TestBatches, crops: CropPlan, order_of_epoch: OrderOfEpoch, epoch: int, share: slice
) -> Batch:
    clips = batches.clips
    buffers = (
        (slice(part.start - share.start, part.stop - share.start), buffer)
        for part, buffer in clips.rows.row_buffers(order_of_epoch, epoch, share)
    )
    shape = SampleShape(batches.frames, batches.slots, copies=batches.empty_slot == "copy")
    return collate(clips.table, buffers, crops, shape, clips.device)
