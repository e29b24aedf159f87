"""Reads and writes the split manifests beside a store."""

from collections.abc import Collection

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.atomic import output_errors, write_atomic
from mamp_schemas.io.storage import read_bytes
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.base import parse_model_json
from mamp_schemas.models.splits import SplitManifest, Subset, manifest_name


def manifest_path(store: StoragePath, protocol: str, subset: Subset | None = None) -> StoragePath:
    """Return where a store's manifest of a protocol, or of a draw from it, stands: beside it."""
    store = store.resolve()
    return store.with_name(manifest_name(store.name, protocol, subset))


def write_manifest(path: StoragePath, manifest: SplitManifest) -> None:
    """Write a manifest under its final name in one step."""
    with output_errors(path):
        write_atomic(path, (manifest.model_dump_json(indent=1) + "\n").encode(), durable=True)


def check_manifest_of_store(
    manifest: SplitManifest, path: StoragePath, content_hash: str, ids: Collection[str], remedy: str
) -> None:
    """Make sure that a manifest is a store's.

    Args:
        manifest: the manifest.
        path: where it was read, named in errors.
        content_hash: the store's.
        ids: the store's clips.
        remedy: what to do if it is not.

    Raises:
        ManifestError: it was made for a store of other content, or names clips that the store does not have.
    """
    if manifest.content_hash != content_hash:
        raise ManifestError(
            f"{path}: belongs to another store: it was made for content {manifest.content_hash[:12]}…, "
            f"the store beside it has {content_hash[:12]}…",
            remedy=remedy,
        )
    foreign = sorted({*manifest.train, *manifest.test}.difference(ids))
    if foreign:
        raise ManifestError(
            f"{path}: {len(foreign)} clips are not in the store, the first is {foreign[0]}", remedy=remedy
        )


def read_manifest(store: Store, protocol: str) -> SplitManifest:
    """Read the manifest beside a store.

    Raises:
        ManifestError: it is missing, damaged or belongs to another store.
    """
    path = manifest_path(store.path, protocol)
    command = f"mampctl build-splits --protocol {protocol} --store {store.path}"
    try:
        text = read_bytes(path)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no split manifest there", remedy=f"Make it with: {command}") from None
    manifest = parse_model_json(SplitManifest, text, str(path), ManifestError)
    check_manifest_of_store(manifest, path, store.metadata.content_hash, store.ids, f"Make it again with: {command}")
    return manifest


def check_manifest_of_subset(
    manifest: SplitManifest, path: StoragePath, subset: Subset, parent: SplitManifest, remedy: str
) -> None:
    """Make sure that a manifest is a draw from another one.

    Args:
        manifest: the draw.
        path: where it was read, named in errors.
        subset: which draw it is to be.
        parent: what it is to be drawn from.
        remedy: what to do if it is not.

    Raises:
        ManifestError: it is another draw, or was drawn from another manifest.
    """
    if manifest.subset != subset:
        raise ManifestError(f"{path}: holds {manifest.subset!r}, expected {subset!r}", remedy=remedy)
    if manifest.parent != parent.digest():
        raise ManifestError(
            f"{path}: was drawn from a manifest of digest {str(manifest.parent)[:12]}…; that of "
            f"'{parent.protocol}' beside it has {parent.digest()[:12]}…",
            remedy=remedy,
        )
