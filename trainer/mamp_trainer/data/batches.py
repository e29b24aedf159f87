"""Batches: which clips, how they are cropped and turned, and the tensors that come of it."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from mamp_schemas.recipes import SamplingSpec
from mamp_trainer.data import augment
from mamp_trainer.data.draws import CROP, ROTATION, uniform
from mamp_trainer.data.order import batch_positions, epoch_order, steps_per_epoch
from mamp_trainer.data.resident import ResidentClips

EmptySlot = Literal["zeros", "copy"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples: N clips, M body slots, T frames, V joints, C = 3 coordinates.

    Attributes:
        x: (N, M, T, V, C) float32, metres.
        trajectory: the same shape, or None: the stored motion, added up and carried through the same crop,
            resize and rotation; its differences in time are those of x within float error.
        label: (N,) int64.
        clip: (N,) int64, global indices: places in the list of clips that was loaded.
        real: (N, M) bool, false where no body fills the slot and it holds zeros or a copy of the first.
    """

    x: Tensor
    trajectory: Tensor | None
    label: Tensor
    clip: Tensor
    real: Tensor


@dataclass
class TrainBatches:
    """Training batches in a seeded order, cropped and turned at random.

    A batch is a pure function of seed, epoch and step, and every sample of seed, epoch and clip: neither the device
    nor the number of ranks changes them, and a run can go on from any step.

    Attributes:
        clips: the clips to train on; batches are made on their device.
        sampling: bounds of crop and rotation.
        frames: T.
        seed: of the run.
        batch_size: clips of the global batch, over all ranks.
        slots: M, the dataset's body slots.
        empty_slot: what a slot without a body holds.
    """

    clips: ResidentClips
    sampling: SamplingSpec
    frames: int
    seed: int
    batch_size: int
    slots: int
    empty_slot: EmptySlot
    _order: tuple[int, Tensor] | None = field(default=None, init=False, repr=False)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.clips), self.batch_size)

    def batch(self, epoch: int, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Return a rank's share of a global batch.

        Args:
            epoch: 0-based.
            step: 0-based, within the epoch.
            rank: which share.
            ranks: of how many.
        """
        clip = self._ordered(epoch)[batch_positions(step, self.batch_size, len(self.clips), rank, ranks)]
        crop = uniform(self.seed, epoch, CROP, clip, 2)
        start, length = augment.train_crop(self.clips.valid_frames[clip], crop, self.sampling)
        angles = uniform(self.seed, epoch, ROTATION, clip, 3)
        rotation = augment.draw_rotations(angles, self.sampling.rotation)
        return _assemble(self, clip, augment.resize_rows(start, length, self.frames), rotation)

    def _ordered(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(self.seed, epoch, len(self.clips))
            self._order = epoch, order.to(self.clips.device)
        return self._order[1]


@dataclass
class TestBatches:
    """Every clip once, in order, with the centred crop; the last batch may be smaller.

    Attributes:
        clips, frames, slots, empty_slot: as in `TrainBatches`.
        sampling: its `test_crop` is the share kept.
        batch_size: clips of a batch, over all ranks.
    """

    clips: ResidentClips
    sampling: SamplingSpec
    frames: int
    batch_size: int
    slots: int
    empty_slot: EmptySlot

    @property
    def steps(self) -> int:
        """Batches that make up all clips."""
        return -(-len(self.clips) // self.batch_size)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Return a rank's share of a batch; it is empty where there are fewer clips left than ranks."""
        share = batch_positions(step, self.batch_size, len(self.clips), rank, ranks)
        clip = torch.arange(share.start, share.stop, device=self.clips.device)
        start, length = augment.centre_crop(self.clips.valid_frames[clip], self.sampling.test_crop)
        return _assemble(self, clip, augment.resize_rows(start, length, self.frames), None)


def _assemble(
    made_by: TrainBatches | TestBatches, clip: Tensor, points: augment.SamplePoints, rotation: Tensor | None
) -> Batch:
    """Gather the samples of clips (N,) at their sample points, and turn them."""
    clips = made_by.clips
    body = torch.arange(made_by.slots, device=clips.device)
    real = body < clips.bodies[clip, None]
    first = clips.first_row[clip, None] + torch.where(real, body, 0) * clips.frames[clip, None]
    filled = real if made_by.empty_slot == "zeros" else torch.ones_like(real)

    def sample(rows: Tensor) -> Tensor:
        x = augment.gather_lerp(rows, first, filled, points)
        return x if rotation is None else augment.rotate(x, rotation)

    trajectory = None if clips.trajectory is None else sample(clips.trajectory)
    return Batch(sample(clips.joints), trajectory, clips.label[clip], clip, real)
