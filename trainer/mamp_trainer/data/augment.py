"""Crop, resize and rotation as tensor operations over a whole batch of ragged clips (reference.md §3).

N clips, M body slots, T frames, V joints, C = 3 coordinates. There are no matrix products: their order of
summation may depend on the batch. So a clip's sample is the same bit for bit in every batch and on every rank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mamp_schemas.models.recipe import SamplingSpec


@dataclass(frozen=True, slots=True)
class SamplePoints:
    """Where the T frames of a sample lie between the frames of its clip, each (N, T).

    Attributes:
        before: int64, the frame at or before the point.
        after: int64, the frame after it.
        weight: float32, the share of the latter.
    """

    before: Tensor
    after: Tensor
    weight: Tensor


def random_crop(valid: Tensor, u: Tensor, spec: SamplingSpec) -> tuple[Tensor, Tensor]:
    """Draw training crops.

    Args:
        valid: (N,) int64, Tv.
        u: (N, 2) uniform draws from [0, 1): the share kept, and the position of the start.
        spec: the share's bounds and the shortest crop.

    Returns:
        start and length, each (N,) int64, within the first Tv frames.
    """
    share, position = u.double().unbind(1)
    share = spec.crop_min + (spec.crop_max - spec.crop_min) * share
    length = (valid * share).floor().long().clamp(min=spec.min_frames).minimum(valid)
    start = (position * (valid - length + 1)).floor().long()
    return start, length


def centre_crop(valid: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return the centred test crop, cut by int((1 - p) · Tv / 2) frames at both ends.

    Args:
        valid: (N,) int64, Tv.
        share: p.

    Returns:
        start and length, each (N,) int64.
    """
    cut = ((1 - share) * valid.double() / 2).long()
    return cut, valid - 2 * cut


def resize_points(start: Tensor, length: Tensor, frames: int) -> SamplePoints:
    """Plan the linear resize of crops to T frames: half-pixel centres, edges clamped.

    The authors' interpolation computes a source coordinate as fma(scale, i + ½, -½) in float32, rounded once. The
    product of two float32 numbers is exact in float64, so float64 rounded to float32 at the end gives the same bits on
    every machine. The scale itself is a float32 quotient: a float64 one gives samples that differ by 1e-4.

    Args:
        start: (N,) int64, first frame of the crop.
        length: (N,) int64, its frames, at least 1.
        frames: T.
    """
    scale = (length.float()[:, None] / frames).double()
    centres = torch.arange(frames, device=start.device, dtype=torch.float64) + 0.5
    source = (scale * centres - 0.5).float().clamp(min=0)
    last = length[:, None] - 1
    before = source.long().minimum(last)
    after = (before + 1).minimum(last)
    return SamplePoints(start[:, None] + before, start[:, None] + after, source - before)


def gather_lerp(rows: Tensor, first: Tensor, filled: Tensor, points: SamplePoints) -> Tensor:
    """Gather ragged clips at their sample points and interpolate, in one pass over memory.

    The authors' interpolation is fma(1 - w, x_before, w · x_after), each rounded once. `embedding_bag` adds the
    weighted rows of a bag in order, by fused multiply-add. So the later frame comes first in a bag, and samples equal
    the authors' bit for bit. (Where a processor has no fused multiply-add, they differ by one rounding, 3e-7 at 4 m.)

    Args:
        rows: (rows, ...) packed rows.
        first: (N, M) int64, the row of frame 0 of each body slot.
        filled: (N, M) bool, false for slots that are to be zeros.
        points: of the N clips.

    Returns:
        (N, M, T, ...).
    """
    frames = torch.stack([points.after, points.before], dim=-1)
    weights = torch.stack([points.weight, 1 - points.weight], dim=-1)
    index = first[:, :, None, None] + frames[:, None]
    shares = filled[:, :, None, None] * weights[:, None]
    sampled = embedding_bag(index.view(-1, 2), rows.flatten(1), per_sample_weights=shares.view(-1, 2), mode="sum")
    return sampled.view(*index.shape[:3], *rows.shape[1:])


def rotation_matrices(angles: Tensor) -> Tensor:
    """Return R = Rz·Ry·Rx, to be applied to column vectors.

    A positive angle turns clockwise as seen from the axis' tip, as in the authors' code.

    Args:
        angles: (N, 3) radians about x, y and z.

    Returns:
        (N, 3, 3) in the dtype of `angles`.
    """
    (sx, sy, sz), (cx, cy, cz) = angles.sin().unbind(1), angles.cos().unbind(1)
    entries = (
        cz * cy, cz * sy * sx + sz * cx, sz * sx - cz * sy * cx,
        -sz * cy, cz * cx - sz * sy * sx, sz * sy * cx + cz * sx,
        sy, -cy * sx, cy * cx,
    )  # fmt: skip
    return torch.stack(entries, dim=1).view(-1, 3, 3)


def random_rotations(u: Tensor, bound: float) -> Tensor:
    """Return rotations by angles from U(-bound, bound), one a clip.

    Args:
        u: (N, 3) uniform draws from [0, 1).
        bound: radians.

    Returns:
        (N, 3, 3) float32, from float64 angles: sine and cosine may round differently in another batch.
    """
    return rotation_matrices((2 * u.double() - 1) * bound).float()


def rotate_rows(rows: Tensor, index: Tensor, rotation: Tensor) -> Tensor:
    """Gather rows and rotate their points about the origin, in one pass over memory.

    A rotated coordinate of a row's joints is the sum of its three planes, weighted by a row of the matrix.

    Args:
        rows: (rows, C, V) packed rows.
        index: (R,) int64, which of them.
        rotation: (R, 3, 3), the matrix of each row.

    Returns:
        (R, C, V).
    """
    planes = 3 * index[:, None] + torch.arange(3, device=index.device)
    bags = planes[:, None].expand(-1, 3, -1).reshape(-1, 3)
    rotated = embedding_bag(bags, rows.flatten(0, 1), per_sample_weights=rotation.reshape(-1, 3), mode="sum")
    return rotated.view(-1, *rows.shape[1:])
