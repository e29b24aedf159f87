"""Find the distinct bodies among the body slots of a batch, so that none is encoded twice.

N clips, M body slots of each, R real bodies in them.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class UniqueBodies(NamedTuple):
    """Which of a batch's N·M body slots hold the same; their number is known without waiting for the device.

    Attributes:
        bodies: (R,) int64, the slots of the real bodies, in order.
        body_of_slot: (N, M) int64, which of the R bodies a slot holds; R where it holds zeros.
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
