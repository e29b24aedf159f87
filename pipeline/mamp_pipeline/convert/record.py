"""What an import puts on record: the metadata of its store, and the manifests of the file's own splits."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from mamp_pipeline.convert.existing import Existing
from mamp_pipeline.convert.table import ImportTable
from mamp_pipeline.splits import make_manifest, manifest_path, write_manifest
from mamp_pipeline.store.digest import content_hash
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import ImportedPolicy
from mamp_schemas.store import FORMAT_VERSION, StoreCounts, StoreMetadata


def fingerprint(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_store(existing: Existing, source: str, table: ImportTable, motion: MotionSpec) -> StoreMetadata:
    """Return the metadata of an import's store: who cleaned its clips, and how, is not on record.

    Args:
        existing: the file.
        source: its fingerprint.
        table: the clips.
        motion: how motion and intensity were computed.
    """
    policy = ImportedPolicy(
        name="imported",
        origin=existing.origin,
        ids=existing.ids,
        labels=existing.labels,
        valid_frames="signed_sum",
        empty_slot=table.empty_slot,
    )
    frames, bodies, digests = (table.columns[name] for name in ("frames", "bodies", "digest"))
    ids = sorted(info.id for info in existing.infos)
    clips = zip(ids, (digest.tobytes() for digest in digests), strict=True)
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=existing.dataset.name,
        skeleton=existing.dataset.skeleton,
        policy=policy,
        policy_hash=policy.digest(),
        motion=motion,
        source=source,
        versions={name: version(name) for name in ("mampctl", "numpy", "zarr")},
        counts=StoreCounts(
            clips=len(ids),
            rows=table.rows,
            bodies=int(bodies.sum()),
            frames=int(frames.sum()),
            excluded=0,
            foreign=0,
            quarantined=0,
        ),
        content_hash=content_hash(existing.dataset.name, policy, motion, clips),
        quarantined=(),
    )


def write_manifests(existing: Existing, metadata: StoreMetadata, out: Path) -> None:
    """Write the manifests of a file's own splits beside the store, in the order of its clips."""
    for split in existing.splits:
        manifest = make_manifest(metadata, split.protocol, split.train, split.test, split.valid)
        write_manifest(manifest_path(out, manifest.protocol), manifest)
