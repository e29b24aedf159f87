"""From crops of ragged clips to the samples of a batch: pick the rows, move them, turn them, resize them.

What is small is computed on the host, where it costs no waiting; what is large, on the device that trains.
N clips, B real bodies of theirs, R rows of these bodies' crops; M, T, V and C as everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mamp_trainer.data import augment
from mamp_trainer.data.clips import ClipTable, bodies_of, spans
from mamp_trainer.data.rows import Held, bring, move
from mamp_trainer.slots import Slots, find_slots


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples: N clips, M body slots, T frames, V joints, C = 3 coordinates.

    Attributes:
        x: (N, M, T, V, C) float32, metres; in memory, a frame's coordinates lie one after the other.
        trajectory: the same shape, or None: the stored motion, added up and carried through the same crop,
            resize and rotation; its differences in time are those of x within float error.
        label: (N,) int64.
        clip: (N,) int64, global indices: places in the list of clips that was loaded.
        real: (N, M) bool, false where no body fills the slot and it holds zeros or a copy of the first.
        slots: the same as indices.
    """

    x: Tensor
    trajectory: Tensor | None
    label: Tensor
    clip: Tensor
    real: Tensor
    slots: Slots


@dataclass(frozen=True, slots=True)
class Crops:
    """Which clips, and what of them; all on the host.

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
class Shape:
    """T and M of samples, and whether a slot without a body holds a copy of the first one, or zeros."""

    frames: int
    slots: int
    copies: bool


def make_batch(
    table: ClipTable, parts: Iterable[tuple[slice, Held]], crops: Crops, shape: Shape, device: torch.device
) -> Batch:
    """Return the samples of crops.

    Rows are turned before they are interpolated: the result is the same, and there are fewer of them.

    Args:
        table: the clips.
        parts: which of the N crops lie in which held rows, all of them in order.
        crops: what to make samples of.
        shape: of the samples.
        device: where the batch goes.
    """
    bodies, slot = table.bodies[crops.clip], torch.arange(shape.slots)
    real = slot < bodies[:, None]
    body = (bodies.cumsum(0) - bodies)[:, None] + torch.where(real, slot, 0)
    count = crops.length.repeat_interleave(bodies)
    first = move((count.cumsum(0) - count)[body] - crops.start[:, None], device)
    filled = move(real | shape.copies, device)
    points = augment.resize_rows(move(crops.start, device), move(crops.length, device), shape.frames)

    def sample(rows: Tensor) -> Tensor:
        return augment.gather_lerp(rows, first, filled, points).transpose(-1, -2)

    joints, trajectory = _gather(table, parts, crops, device)
    return Batch(
        x=sample(joints),
        trajectory=None if trajectory is None else sample(trajectory),
        label=move(table.label[crops.clip], device),
        clip=move(crops.clip, device),
        real=move(real, device),
        slots=Slots(*(move(index, device) for index in find_slots(real, shape.copies))),
    )


def _gather(
    table: ClipTable, parts: Iterable[tuple[slice, Held]], crops: Crops, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Return joints and trajectory of the crops' rows, turned, each (R, C, V): one body after the other."""
    joints, trajectory = [], []
    for part, held in parts:
        index, owner = _crop_rows(table, held, crops, part)
        matrices = None if crops.rotation is None else move(crops.rotation[owner], device)
        joints.append(_turned(held.joints, index, matrices, device))
        if held.trajectory is not None:
            trajectory.append(_turned(held.trajectory, index, matrices, device))
    return _join(joints), _join(trajectory) if trajectory else None


def _crop_rows(table: ClipTable, held: Held, crops: Crops, part: slice) -> tuple[Tensor, Tensor]:
    """Return where the rows of some crops are held, and which crop each belongs to, both (R,) int64."""
    clip = crops.clip[part]
    owner, body = bodies_of(table.bodies[clip])
    first = held.offset[table.shard[clip]] + table.place[clip] + crops.start[part]
    count = crops.length[part][owner]
    index = spans(first[owner] + body * table.frames[clip][owner], count)
    return index, (part.start + owner).repeat_interleave(count)


def _turned(rows: Tensor, index: Tensor, matrices: Tensor | None, device: torch.device) -> Tensor:
    rows, index = bring(rows, index, device)
    return rows.index_select(0, index) if matrices is None else augment.turn_rows(rows, index, matrices)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
