"""Ingest policies: every choice that changes what a clip holds, named and hashed into the store."""

from typing import Literal

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName

PolicyName = Literal["paper"]


class IngestPolicy(Model):
    """How raw bodies become a clip.

    Attributes:
        name: the policy's name.
        denoise: drop short and spread-out bodies where a file has several (reference.md §2.2).
        tracking_gaps: `shift` moves a returning body's frames up to its last one, as the authors' scripts do.
        valid_frames: `signed_sum` counts the frames whose signed coordinate sum is not 0.
        centre: `first_frame` subtracts actor 1's centre joint in its first non-zero frame.
        empty_slot: what a reader puts into the second body slot of a one-body clip.
    """

    name: PolicyName
    denoise: bool
    tracking_gaps: Literal["shift"]
    valid_frames: Literal["signed_sum"]
    centre: Literal["first_frame"]
    empty_slot: Literal["zeros", "copy"]


def paper_policy(dataset: DatasetName) -> IngestPolicy:
    """Return the policy equal to the authors' scripts.

    NTU-120 repeats a single body in the second slot, NTU-60 leaves it empty; NW-UCLA has one body a clip,
    no published script, and is centred like NTU. So are own recordings: what counts as noise in NTU's Kinect
    files (short tracks, wide bodies) may be what they are about.
    """
    return IngestPolicy(
        name="paper",
        denoise=dataset not in ("nwucla", "custom"),
        tracking_gaps="shift",
        valid_frames="signed_sum",
        centre="first_frame",
        empty_slot="copy" if dataset == "ntu120" else "zeros",
    )
