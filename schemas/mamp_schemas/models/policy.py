"""Policies: every choice that changes what a clip holds, named and hashed into the store."""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from mamp_schemas.models.base import Model

PolicyName = Literal["paper", "corrected"]
StorePolicyName = Literal[PolicyName, "imported"]
ValidFrameRule = Literal["signed_sum", "true_count"]
EmptySlotFill = Literal["zeros", "copy"]


class _BasePolicy(Model):
    """What ingested and imported policies have in common."""

    def applicable_fields(self) -> dict[str, str | int | bool]:
        """Return the fields that apply, without the name."""
        return {field: value for field, value in self.canonical_data().items() if field != "name"}


class IngestPolicy(_BasePolicy):
    """How raw bodies become a clip. Fields that do not apply to the dataset are None.

    Attributes:
        name: the policy's name.
        denoise: whether to drop short and spread-out bodies if a file has several (reference.md §2.2).
        tracking_gaps: `shift` leaves out frames without a body and moves the frames of a body that returns up to its
            last frame, as the authors' scripts do; `keep` leaves every frame where it was recorded, from the first
            to the last that holds a body, with zeros where a body is not seen.
        valid_frames: by `signed_sum` a frame is empty if its signed coordinate sum is 0, and the other frames are
            valid; by `true_count` a frame is empty only if every coordinate is 0, and all frames of a clip are valid.
        centre: `first_frame` subtracts actor 1's centre joint in its first non-zero frame; `none` leaves the
            camera's coordinates.
        empty_slot: what the second body slot of a clip with one body is filled with when the clip is read.
        interval_start: how a label's frames are counted, for clips cut out of videos: `zero_based` takes
            frames start to end - 1 counted from 0, `one_based` frames start to end counted from 1.
        max_frames: the length to which longer clips are cut.
    """

    name: PolicyName
    denoise: bool
    tracking_gaps: Literal["shift", "keep"] | None
    valid_frames: ValidFrameRule
    centre: Literal["first_frame", "none"]
    empty_slot: EmptySlotFill
    interval_start: Literal["zero_based", "one_based"] | None = None
    max_frames: int | None = Field(default=None, ge=1)


class ImportedPolicy(_BasePolicy):
    """What is known about clips imported from a file: they were cleaned elsewhere, and the file does not say how.

    Attributes:
        name: the policy's name.
        origin: the file's format.
        ids: whether the clips' ids come from the `file` or were `made` from their order.
        labels: whether the file held `one_hot` rows or class numbers (`index`); exports write the same again.
        valid_frames: as in `IngestPolicy`, counted by the import, and at least 1.
        empty_slot: as in `IngestPolicy`, taken from the clips themselves.
    """

    name: Literal["imported"]
    origin: Literal["npz", "h5", "pyskl"]
    ids: Literal["file", "made"]
    labels: Literal["one_hot", "index"]
    valid_frames: Literal["signed_sum"]
    empty_slot: EmptySlotFill


StorePolicy = Annotated[IngestPolicy | ImportedPolicy, Field(discriminator="name")]


PAPER_POLICY = IngestPolicy(
    name="paper",
    denoise=False,
    tracking_gaps="shift",
    valid_frames="signed_sum",
    centre="first_frame",
    empty_slot="zeros",
)
"""The authors' scripts, as datasets without a published script use them: nothing is taken for noise, because what
counts as noise in NTU's files (short tracks, wide bodies) may be what other recordings are about."""


def corrected_policy(paper: IngestPolicy) -> IngestPolicy:
    """Return the policy that corrects what the authors' scripts do by accident (the end of reference.md §2).

    Args:
        paper: the dataset's `paper` policy; fields that do not apply stay so.
    """
    return paper.replaced(
        name="corrected",
        tracking_gaps=paper.tracking_gaps and "keep",
        valid_frames="true_count",
        centre="first_frame",
        empty_slot="zeros",
        interval_start=paper.interval_start and "one_based",
    )


@cache
def single_field_deviations(policy: IngestPolicy, paper: IngestPolicy) -> dict[str, IngestPolicy]:
    """Return, for each field in which a policy differs from `paper`, `paper` with this field alone changed."""
    changes = {field: getattr(policy, field) for field in policy.applicable_fields()}
    return {
        field: paper.replaced(**{field: value}) for field, value in changes.items() if value != getattr(paper, field)
    }
