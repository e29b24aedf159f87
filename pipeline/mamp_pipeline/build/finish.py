"""The metadata of a store in the making: all that is known of it once every piece is there."""

from importlib.metadata import version

from mamp_pipeline.build.plan import add_fingerprints, fingerprint
from mamp_pipeline.build.request import Found, Ingest
from mamp_pipeline.build.table import Table
from mamp_pipeline.store.digest import content_hash
from mamp_pipeline.store.read import Store
from mamp_schemas.datasets import DATASETS
from mamp_schemas.store import FORMAT_VERSION, StoreCounts, StoreMetadata


def describe(request: Ingest, found: Found, table: Table, base: Store | None) -> StoreMetadata:
    """Return the metadata of the store that the table describes.

    Args:
        request: the ingest.
        found: its input.
        table: of the whole store.
        base: the store it extends, whose source, quarantine and left-out files count as well.
    """
    digests = (digest.tobytes() for digest in table.columns["digest"])
    source, before = fingerprint(found.sources), base.metadata if base else None
    quarantined = (*(before.quarantined if before else ()), *table.quarantined)
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=request.dataset,
        skeleton=DATASETS[request.dataset].skeleton,
        policy=request.policy,
        policy_hash=request.policy.digest(),
        motion=request.motion,
        source=add_fingerprints(before.source, source) if before else source,
        versions={name: version(name) for name in ("mampctl", "numpy", "zarr")},
        counts=StoreCounts(
            clips=len(table.ids),
            rows=table.rows,
            bodies=int(table.columns["bodies"].sum(dtype="int64")),
            frames=int(table.columns["frames"].sum(dtype="int64")),
            excluded=found.excluded + (before.counts.excluded if before else 0),
            foreign=found.foreign + (before.counts.foreign if before else 0),
            quarantined=len(quarantined),
        ),
        content_hash=content_hash(
            request.dataset, request.policy, request.motion, zip(table.ids, digests, strict=True)
        ),
        quarantined=quarantined,
    )
