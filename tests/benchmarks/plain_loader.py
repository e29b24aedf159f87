"""The plain way to make batches, which the benchmarks measure against: numpy, clip by clip, in worker processes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

FRAMES = 120


class PlainClips(Dataset[tuple[Tensor, int]]):
    """Clips as arrays (T, M, V, 3), both body slots filled up, cropped, resized and turned one at a time."""

    def __init__(self, clips: list[NDArray[np.float32]]) -> None:
        self.clips = clips
        self.generator = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        cropped = crop(self.clips[at], *self.generator.uniform(size=2))
        return torch.from_numpy(turn(resize(cropped), self.generator.uniform(-0.3, 0.3, 3))), 0


def crop(clip: NDArray[np.float32], share: float, place: float) -> NDArray[np.float32]:
    frames = len(clip)
    length = min(max(int(frames * (0.5 + share / 2)), 64), frames)
    start = int(place * (frames - length + 1))
    return clip[start : start + length]


def resize(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    frames = len(clip)
    at = np.clip((np.arange(FRAMES, dtype=np.float32) + 0.5) * frames / FRAMES - 0.5, 0, frames - 1)
    before = at.astype(int)
    share = (at - before)[:, None, None, None].astype(np.float32)
    return clip[before] * (1 - share) + clip[np.minimum(before + 1, frames - 1)] * share


def turn(clip: NDArray[np.float32], angles: NDArray[np.float64]) -> NDArray[np.float32]:
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    return clip @ (about_z @ about_y @ about_x).T.astype(np.float32)


def plain_loader(clips: list[NDArray[np.float32]], batch_size: int) -> DataLoader[tuple[Tensor, int]]:
    """Return the plain loader with two workers, kept alive between epochs."""
    return DataLoader(
        PlainClips(clips),
        batch_size=batch_size,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
