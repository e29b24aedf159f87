"""Policies: every choice that changes what a clip holds, named and hashed into the store."""

from typing import Annotated, Literal

from pydantic import Field

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


class ImportedPolicy(Model):
    """What is known of clips that came in an existing file: others cleaned them, and the file does not say how.

    Attributes:
        name: the policy's name.
        origin: the file's format.
        ids: whether the clips' ids stood in the `file` or were `made` from their order.
        labels: whether the file held `one_hot` rows or class numbers (`index`); exports write the same again.
        valid_frames: as in `IngestPolicy`, counted by the import, and at least 1.
        empty_slot: as in `IngestPolicy`, taken from the clips themselves.
    """

    name: Literal["imported"]
    origin: Literal["npz", "h5", "pyskl"]
    ids: Literal["file", "made"]
    labels: Literal["one_hot", "index"]
    valid_frames: Literal["signed_sum"]
    empty_slot: Literal["zeros", "copy"]


StorePolicy = Annotated[IngestPolicy | ImportedPolicy, Field(discriminator="name")]


def paper_policy(dataset: DatasetName) -> IngestPolicy:
    """Return the policy equal to the authors' scripts.

    NTU-120 repeats a single body in the second slot, NTU-60 leaves it empty; NW-UCLA has one body a clip,
    no published script, and is centred like NTU.
    """
    return IngestPolicy(
        name="paper",
        denoise=dataset != "nwucla",
        tracking_gaps="shift",
        valid_frames="signed_sum",
        centre="first_frame",
        empty_slot="copy" if dataset == "ntu120" else "zeros",
    )
