"""Read and write the split manifests beside a store."""

from collections.abc import Collection

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.atomic import output_errors, write_atomic
from mamp_schemas.io.storage import read_bytes
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.base import parse_model_json
from mamp_schemas.models.splits import SplitManifest, Subset, manifest_name


def manifest_path(store: StoragePath, protocol: str, subset: Subset | None = None) -> StoragePath:
    """Return the path of a protocol's manifest, or of a subset's: beside the store."""
    store = store.resolve()
    return store.with_name(manifest_name(store.name, protocol, subset))


def write_manifest(path: StoragePath, manifest: SplitManifest) -> None:
    """Write a manifest under its final name in one step.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(path):
        write_atomic(path, (manifest.model_dump_json(indent=1) + "\n").encode(), durable=True)


def read_manifest(store: Store, protocol: str, subset: Subset | None = None) -> SplitManifest:
    """Read a protocol's manifest, or that of a subset of its training clips, from beside the store.

    Raises:
        ManifestError: it is missing or unreadable, belongs to another store, names clips that the store does not have,
            or was drawn from another manifest than the protocol's.
    """
    path = manifest_path(store.path, protocol, subset)
    remedy = f"Make it: mampctl build-splits --protocol {protocol} --store {store.path}{_subset_options(subset)}"
    try:
        text = read_bytes(path)
    except FileNotFoundError:
        what = f"a subset of '{protocol}'" if subset else f"'{protocol}'"
        raise ManifestError(f"{path}: there is no split manifest for {what}", remedy=remedy) from None
    except OSError as problem:
        raise ManifestError(f"{path}: cannot be read: {problem.strerror}", remedy=remedy) from None
    manifest = parse_model_json(SplitManifest, text, str(path), ManifestError)
    _check_store(manifest, path, store.metadata.content_hash, store.ids, remedy)
    if subset is not None:
        _check_subset(manifest, path, subset, read_manifest(store, protocol), remedy)
    return manifest


def _check_store(
    manifest: SplitManifest, path: StoragePath, content_hash: str, ids: Collection[str], remedy: str
) -> None:
    """Check that a manifest belongs to a store.

    Args:
        manifest: the manifest.
        path: its path, for errors.
        content_hash: the store's.
        ids: the store's clips.
        remedy: what to do if it does not.

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


def _check_subset(
    manifest: SplitManifest, path: StoragePath, subset: Subset, parent: SplitManifest, remedy: str
) -> None:
    """Check that a manifest is a subset of another one.

    Args:
        manifest: the subset's manifest.
        path: its path, for errors.
        subset: the subset that is expected.
        parent: the manifest that it must have been drawn from.
        remedy: what to do if it was not.

    Raises:
        ManifestError: it is another subset, or was drawn from another manifest.
    """
    if manifest.subset != subset:
        raise ManifestError(f"{path}: holds {manifest.subset!r}, expected {subset!r}", remedy=remedy)
    if manifest.parent != parent.digest():
        raise ManifestError(
            f"{path}: was drawn from a manifest of digest {str(manifest.parent)[:12]}…; that of "
            f"'{parent.protocol}' beside it has {parent.digest()[:12]}…",
            remedy=remedy,
        )


def _subset_options(subset: Subset | None) -> str:
    if subset is None:
        return ""
    return (
        f" --fraction {subset.fraction} --sampling {subset.sampling} --seed {subset.seed} --draws {max(5, subset.draw)}"
    )
