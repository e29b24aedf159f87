"""Make a batch of samples from crops of ragged clips: gather rows, copy them to the device, rotate and resize them.

A body that fills several slots of a clip is encoded once. Small tensors are computed on the host, large ones on the
training device.
N clips, B real bodies in them, R rows of these bodies' crops; M, T, V and C as everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mamp_trainer.data import augment
from mamp_trainer.data.clips import ClipTable, body_index, concat_ranges
from mamp_trainer.data.rows import RowBuffer, gather_to_device, to_device


class UniqueBodies(NamedTuple):
    """Which of a batch's N·M body slots hold the same; their number is known without waiting for the device.

    Attributes:
        bodies: (B,) int64, the slots of the real bodies, in order.
        body_of_slot: (N, M) int64, which of the B bodies a slot holds; B where it holds zeros.
    """

    bodies: Tensor
    body_of_slot: Tensor


def find_unique_bodies(real: Tensor, empty_slots_are_copies: bool) -> UniqueBodies:
    """Return which slots hold the same.

    Args:
        real: (N, M) bool, on the host; every clip has a first body.
        empty_slots_are_copies: whether slots without a body hold a copy of their clip's first body, or zeros.
    """
    bodies = real.flatten().nonzero().squeeze(1)
    number = (real.flatten().cumsum(0) - 1).view_as(real)
    return UniqueBodies(bodies, torch.where(real, number, number[:, :1] if empty_slots_are_copies else len(bodies)))


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples: N clips, M body slots, T frames, V joints, C = 3 coordinates.

    Attributes:
        x: (N, M, T, V, C) float32, metres; in memory, a frame's coordinates lie one after the other.
        trajectory: the same shape, or None: the sum of the stored motion, carried through the same crop,
            resize and rotation; its differences in time are those of x within float error.
        label: (N,) int64.
        clip: (N,) int64, global indices: positions in the list of clips that was loaded.
        real: (N, M) bool, false where no body fills the slot and it holds zeros or a copy of the first.
        unique_bodies: which slots hold the same body, as indices.
    """

    x: Tensor
    trajectory: Tensor | None
    label: Tensor
    clip: Tensor
    real: Tensor
    unique_bodies: UniqueBodies


@dataclass(frozen=True, slots=True)
class CropPlan:
    """Which frames of which clips, and how they are rotated; all on the host.

    Attributes:
        clip: (N,) int64.
        start, length: (N,) int64, frames of the crop.
        rotation: (N, 3, 3) float32, or None for none.
    """

    clip: Tensor
    start: Tensor
    length: Tensor
    rotation: Tensor | None


@dataclass(frozen=True, slots=True)
class SampleShape:
    """T and M of samples, and whether a slot without a body holds a copy of the first body, or zeros."""

    frames: int
    slots: int
    copies: bool


def collate(
    table: ClipTable,
    parts: Iterable[tuple[slice, RowBuffer]],
    crops: CropPlan,
    shape: SampleShape,
    device: torch.device,
) -> Batch:
    """Return the samples of crops.

    Rows are rotated before they are interpolated: the result is the same, and there are fewer of them.

    Args:
        table: the clips.
        parts: which of the N crops lie in which rows, all crops in order.
        crops: the frames of each sample.
        shape: of the samples.
        device: where the batch goes.
    """
    bodies, slot = table.bodies[crops.clip], torch.arange(shape.slots)
    real = slot < bodies[:, None]
    body = (bodies.cumsum(0) - bodies)[:, None] + torch.where(real, slot, 0)
    count = crops.length.repeat_interleave(bodies)
    first = to_device((count.cumsum(0) - count)[body] - crops.start[:, None], device)
    filled = to_device(real | shape.copies, device)
    points = augment.resize_points(to_device(crops.start, device), to_device(crops.length, device), shape.frames)

    def sample(rows: Tensor) -> Tensor:
        return augment.gather_lerp(rows, first, filled, points).transpose(-1, -2)

    joints, trajectory = _gather_rows(table, parts, crops, device)
    return Batch(
        x=sample(joints),
        trajectory=None if trajectory is None else sample(trajectory),
        label=to_device(table.label[crops.clip], device),
        clip=to_device(crops.clip, device),
        real=to_device(real, device),
        unique_bodies=UniqueBodies(*(to_device(index, device) for index in find_unique_bodies(real, shape.copies))),
    )


def _gather_rows(
    table: ClipTable, parts: Iterable[tuple[slice, RowBuffer]], crops: CropPlan, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Return joints and trajectory of the crops' rows, rotated, each (R, C, V), one body after the other."""
    joints, trajectory = [], []
    for part, buffer in parts:
        index, owner = _crop_rows(table, buffer, crops, part)
        matrices = None if crops.rotation is None else to_device(crops.rotation[owner], device)
        joints.append(_rotated(buffer.joints, index, matrices, device))
        if buffer.trajectory is not None:
            trajectory.append(_rotated(buffer.trajectory, index, matrices, device))
    return _concat(joints), _concat(trajectory) if trajectory else None


def _crop_rows(table: ClipTable, buffer: RowBuffer, crops: CropPlan, part: slice) -> tuple[Tensor, Tensor]:
    """Return the indices of some crops' rows in a buffer, and the crop of each row, both (R,) int64."""
    clip = crops.clip[part]
    owner, body = body_index(table.bodies[clip])
    first = buffer.offset[table.shard[clip]] + table.packed_row[clip] + crops.start[part]
    count = crops.length[part][owner]
    index = concat_ranges(first[owner] + body * table.frames[clip][owner], count)
    return index, (part.start + owner).repeat_interleave(count)


def _rotated(rows: Tensor, index: Tensor, matrices: Tensor | None, device: torch.device) -> Tensor:
    rows, index = gather_to_device(rows, index, device)
    return rows.index_select(0, index) if matrices is None else augment.rotate_rows(rows, index, matrices)


def _concat(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
