"""The metadata of a store in the making: all that is known of it once its clip table is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from mamp_pipeline.store.digest import content_hash
from mamp_pipeline.store.layout import Columns
from mamp_schemas.datasets import DatasetName
from mamp_schemas.layout import Layout, dataset_spec, dataset_identity
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import StorePolicy
from mamp_schemas.store import FORMAT_VERSION, QuarantinedFile, StoreCounts, StoreMetadata


@dataclass(frozen=True)
class IngestSummary:
    """Where a store's clips come from, and what happened on the way.

    Attributes:
        source: fingerprint of the input.
        ingests: as in `StoreMetadata`.
        excluded: files left out by a list.
        foreign: files left out as those of another dataset.
        quarantined: files that gave no clip.
        touched, noted: as in `StoreMetadata`.
    """

    source: str
    ingests: tuple[str, ...] = ()
    excluded: int = 0
    foreign: int = 0
    quarantined: tuple[QuarantinedFile, ...] = ()
    touched: Mapping[str, int] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)


def make_store_metadata(
    *,
    dataset: DatasetName,
    layout: Layout | None = None,
    policy: StorePolicy,
    motion: MotionSpec,
    ids: Sequence[str],
    columns: Columns,
    summary: IngestSummary,
) -> StoreMetadata:
    """Return the metadata of a store.

    Args:
        dataset: whose clips they are.
        layout: what own recordings were read by.
        policy: how clips were made.
        motion: how motion and intensity were made.
        ids: of the clips, in the order of the columns.
        columns: frames, bodies and digest at least.
        account: where the clips come from.
    """
    frames, bodies = (columns[name].astype("int64") for name in ("frames", "bodies"))
    digests = (digest.tobytes() for digest in columns["digest"])
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=dataset,
        skeleton=dataset_spec(dataset, layout).skeleton,
        policy=policy,
        policy_hash=policy.digest(),
        motion=motion,
        source=summary.source,
        ingests=summary.ingests,
        versions={name: version(name) for name in ("mampctl", "numpy", "zarr")},
        counts=StoreCounts(
            clips=len(ids),
            rows=int((frames * bodies).sum()),
            bodies=int(bodies.sum()),
            frames=int(frames.sum()),
            excluded=summary.excluded,
            foreign=summary.foreign,
            quarantined=len(summary.quarantined),
        ),
        content_hash=content_hash(dataset_identity(dataset, layout), policy, motion, zip(ids, digests, strict=True)),
        touched=dict(summary.touched),
        noted=dict(summary.noted),
        quarantined=summary.quarantined,
        layout=layout,
    )
