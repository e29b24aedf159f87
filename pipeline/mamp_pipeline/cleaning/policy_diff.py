"""Finds the policy fields whose deviation from `paper` changes a clip by itself."""

from collections.abc import Callable, Iterator

import numpy as np

from mamp_pipeline.datasets.clips import Clip
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import IngestPolicy, single_field_deviations

MakeClip = Callable[[IngestPolicy], Clip | None]


def find_changing_fields(make: MakeClip, policy: IngestPolicy, dataset: DatasetSpec) -> Iterator[str]:
    """Yield the fields in which a policy differs from `paper` and that, changed alone, change the clip.

    A clip is what a reader gets: both slots and the number of valid frames. One that `paper` has and the field
    alone would lose, or the reverse, is changed too.

    Args:
        make: makes the clip under a policy; raises RawFileError or returns None where there is none.
        policy: the policy in use.
        dataset: the dataset whose `paper` policy it is held against.
    """
    changed = single_field_deviations(policy, dataset.paper_policy)
    if not changed:
        return
    paper = _try_make(make, dataset.paper_policy)
    for field, alone in changed.items():
        if field == "empty_slot":
            touched = paper is not None and len(paper.joints) < dataset.bodies
        else:
            touched = not _same_clip(paper, _try_make(make, alone))
        if touched:
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
