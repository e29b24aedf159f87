"""Stateless random numbers: a pure function of seed, epoch, stream, clip and count.

There is no generator and no state. So the numbers depend neither on the device, nor on the batch that a clip is in,
nor on the number of ranks, and a run can resume at any step. The mixing function is that of SplitMix64 (Steele, Lea and
Flood, 2014); counter-based generators such as Philox (Salmon et al., 2011) have the same idea.
"""

import hashlib
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class RngStream(IntEnum):
    """What random numbers are drawn for. The numbers are part of every run's result: none is ever reused or changed.

    Objectives and protocols of other distributions name their streams instead (`Draws.uniform`).
    """

    ORDER = 0
    """The order of the clips in an epoch."""
    CROP = 1
    """The share and the start of a training crop."""
    ROTATION = 2
    """The three angles of a training rotation."""
    MASK = 3
    """Which tokens are masked."""
    SHARDS = 4
    """The order of the shards in an epoch."""
    DROP_PATH = 5
    """Which branches of which blocks a sequence skips in fine-tuning."""
    DROPOUT = 6
    """Which features are dropped in fine-tuning."""


_INCREMENT = -0x61C8864680B583EB
"""2^64 over the golden ratio, odd, as a signed number: consecutive counters land far apart."""

_BITS = 24
"""As many as a float32 holds between 0 and 1 without rounding."""


def uniform(seed: int, epoch: int, stream: int, index: Tensor, count: int) -> Tensor:
    """Draw `count` numbers for each index.

    Args:
        seed: of the run.
        epoch: 0-based.
        stream: what the numbers are for.
        index: (N,) int64, global clip indices.
        count: numbers per clip.

    Returns:
        (N, count) float32 on the device of `index`: multiples of 2^-24 in [0, 1), so 0 occurs and 1 never.
    """
    counters = torch.arange(1, count + 1, device=index.device) * _INCREMENT
    bits = _mix(hash_index(seed, epoch, stream, index)[:, None] + counters)
    return _shift(bits, 64 - _BITS).to(torch.float32) * 2.0**-_BITS


class Draws(NamedTuple):
    """The random numbers of a batch in an epoch.

    Attributes:
        seed: of the run.
        epoch: 0-based.
        clip: (N,) int64, global clip indices.
        namespace: of named streams; whose streams never meet those of another namespace, or numbered ones.
    """

    seed: int
    epoch: int
    clip: Tensor
    namespace: str = ""

    def uniform(self, stream: int | str, count: int) -> Tensor:
        """Draw `count` numbers for each clip.

        Args:
            stream: what the numbers are for: any name within the namespace, or one of `RngStream`.
            count: numbers a clip.

        Returns:
            (N, count) float32 on the device of `clip`, in [0, 1).
        """
        number = stream if isinstance(stream, int) else _named_stream(self.namespace, stream)
        return uniform(self.seed, self.epoch, number, self.clip, count)


@lru_cache(maxsize=64)
def _named_stream(namespace: str, name: str) -> int:
    """Return a stream's number, 2^32 or more: numbered streams are below."""
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    return 2**32 + int.from_bytes(digest[:7], "big")


def hash_index(seed: int, epoch: int, stream: int, index: Tensor) -> Tensor:
    """Return 64 well-mixed bits for each index; within a seed, epoch and stream no two indices share theirs.

    Args:
        seed: of the run.
        epoch: 0-based.
        stream: what the bits are for.
        index: (N,) int64.

    Returns:
        (N,) int64 on the device of `index`.
    """
    return _mix(index * _INCREMENT + _key(seed, epoch, stream))


@lru_cache(maxsize=64)
def _key(*parts: int) -> int:
    key = torch.zeros((), dtype=torch.int64)
    for part in parts:
        key = _mix((key ^ _signed(part)) + _INCREMENT)
    return int(key)


def _mix(bits: Tensor) -> Tensor:
    """Mix 64 bits reversibly: xor-shifts and odd multipliers (the splitmix64 constants), wrapping around."""
    bits = (bits ^ _shift(bits, 30)) * -0x40A7B892E31B1A47
    bits = (bits ^ _shift(bits, 27)) * -0x6B2FB644ECCEEE15
    return bits ^ _shift(bits, 31)


def _shift(bits: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros; the plain operator would repeat the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def _signed(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63
