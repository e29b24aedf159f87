"""Finds the policy fields that, deviating from `paper` alone, change a clip."""

from collections.abc import Callable, Iterator

import numpy as np

from mamp_pipeline.datasets.clips import Clip
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import IngestPolicy, single_field_deviations

MakeClip = Callable[[IngestPolicy], Clip | None]


def find_changing_fields(make: MakeClip, policy: IngestPolicy, dataset: DatasetSpec) -> Iterator[str]:
    """Yield the fields in which a policy differs from `paper` and that, changed alone, change the clip.

    A clip is compared as a reader gets it: both slots and the number of valid frames. A clip that exists only under
    `paper`, or only with the field changed, counts as changed.

    Args:
        make: makes the clip under a policy; raises RawFileError or returns None where there is none.
        policy: the policy in use.
        dataset: the dataset whose `paper` policy it is compared with.
    """
    deviations = single_field_deviations(policy, dataset.paper_policy)
    if not deviations:
        return
    paper = _try_make(make, dataset.paper_policy)
    for field, alone in deviations.items():
        if field == "empty_slot":
            changes = paper is not None and len(paper.joints) < dataset.bodies
        else:
            changes = not _same_clip(paper, _try_make(make, alone))
        if changes:
            yield field


def _try_make(make: MakeClip, policy: IngestPolicy) -> Clip | None:
    try:
        return make(policy)
    except RawFileError:
        return None


def _same_clip(first: Clip | None, second: Clip | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.valid_frames == second.valid_frames and np.array_equal(first.joints, second.joints)
