"""The order of the clips: a pure function of seed and epoch, divided into steps and ranks."""

import torch
from torch import Tensor

from mamp_trainer.data.draws import ORDER, hash_index


def epoch_order(seed: int, epoch: int, clips: int) -> Tensor:
    """Return the order of an epoch.

    Returns:
        (clips,) int64 on the CPU: a permutation of the global clip indices 0 ... clips - 1.
    """
    keys = hash_index(seed, epoch, ORDER, torch.arange(clips))
    return torch.argsort(keys, stable=True)


def steps_per_epoch(clips: int, batch_size: int) -> int:
    """Return the steps of a training epoch.

    The last incomplete batch is dropped, as in the authors' code. Where not even one batch is complete, a
    single batch holds all clips, so that small sets can be trained on.
    """
    return max(clips // batch_size, 1)


def batch_positions(step: int, batch_size: int, clips: int, rank: int = 0, ranks: int = 1) -> slice:
    """Return a rank's share of a global batch, as positions in the epoch's order.

    The ranks' shares follow each other, differ by at most one clip and make up the same batch for every
    number of ranks.

    Args:
        step: 0-based, within the epoch.
        batch_size: clips of the global batch.
        clips: all clips; the last batch ends there.
        rank: which share.
        ranks: of how many.
    """
    first = step * batch_size
    size = max(min(batch_size, clips - first), 0)
    return slice(first + size * rank // ranks, first + size * (rank + 1) // ranks)
