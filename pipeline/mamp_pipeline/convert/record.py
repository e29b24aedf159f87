"""What an import puts on record: the metadata of its store, and the manifests of the file's own splits."""

import hashlib
from pathlib import Path

from mamp_pipeline.convert.existing import ImportSource
from mamp_pipeline.convert.table import ImportTable
from mamp_pipeline.splits import make_manifest, manifest_path, write_manifest
from mamp_pipeline.store.describe import IngestSummary, make_store_metadata
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import ImportedPolicy
from mamp_schemas.store import StoreMetadata


def file_fingerprint(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_import_metadata(source_file: ImportSource, source: str, table: ImportTable, motion: MotionSpec) -> StoreMetadata:
    """Return the metadata of an import's store: who cleaned its clips, and how, is not on record.

    Args:
        existing: the file.
        source: its fingerprint.
        table: the clips.
        motion: how motion and intensity were computed.
    """
    policy = ImportedPolicy(
        name="imported",
        origin=source_file.origin,
        ids=source_file.id_origin,
        labels=source_file.label_kind,
        valid_frames="signed_sum",
        empty_slot=table.empty_slot,
    )
    return make_store_metadata(
        dataset=source_file.dataset.name,
        policy=policy,
        motion=motion,
        ids=sorted(info.id for info in source_file.infos),
        columns=table.columns,
        summary=IngestSummary(source),
    )


def write_import_manifests(source_file: ImportSource, metadata: StoreMetadata, out: Path) -> None:
    """Write the manifests of a file's own splits beside the store, in the order of its clips."""
    for split in source_file.splits:
        manifest = make_manifest(metadata, split.protocol, split.train, split.test, split.valid)
        write_manifest(manifest_path(out, manifest.protocol), manifest)
