"""Read and write the split manifests beside a store."""

from collections.abc import Iterator
from shlex import quote

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.atomic import output_errors, write_atomic
from mamp_schemas.io.storage import read_bytes
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.policy import ImportedPolicy
from mamp_schemas.models.sealed import dump_sealed_json, edited_error, open_sealed_json
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
        write_atomic(path, dump_sealed_json(manifest), durable=True)


def read_manifest(store: Store, protocol: str, subset: Subset | None = None) -> SplitManifest:
    """Read a protocol's manifest, or that of a subset of its training clips, from beside the store.

    Raises:
        ManifestError: it is missing, unreadable or not as it was written, belongs to another store, contradicts the
            store or the protocol, or was drawn from another manifest than the protocol's.
    """
    path = manifest_path(store.path, protocol, subset)
    where = quote(str(store.path))
    command = f"mampctl build-splits --protocol {protocol} --store {where}{_subset_options(subset)}"
    try:
        text = read_bytes(path)
    except FileNotFoundError:
        what = f"a subset of '{protocol}'" if subset else f"'{protocol}'"
        raise ManifestError(f"{path}: there is no split manifest for {what}", remedy=f"Make it: {command}") from None
    except OSError as refusal:
        remedy = f"Make it a file that you may read, or remove it. {_remedy(store, command)}"
        raise ManifestError(f"{path}: cannot be read: {refusal.strerror or refusal}", remedy=remedy) from None
    remedy = _remedy(store, command)
    manifest, intact = open_sealed_json(SplitManifest, text, str(path), ManifestError, remedy)
    for problem in _contradictions(manifest, store, protocol):
        raise ManifestError(f"{path}: {problem}", remedy=remedy)
    if subset is not None:
        _check_subset(manifest, path, subset, read_manifest(store, protocol), remedy)
    if not intact:
        raise edited_error(str(path), ManifestError, remedy)
    return manifest


def _contradictions(manifest: SplitManifest, store: Store, protocol: str) -> Iterator[str]:
    """Yield what a manifest says otherwise than its store and protocol."""
    metadata, counts = store.metadata, manifest.counts
    if manifest.content_hash != metadata.content_hash:
        yield (
            f"belongs to another store: it was made for content {manifest.content_hash[:12]}…, "
            f"the store beside it has {metadata.content_hash[:12]}…"
        )
    for fact, found, expected in (
        ("dataset", manifest.dataset, metadata.dataset),
        ("protocol", manifest.protocol, protocol),
        ("counts.unlisted", counts.unlisted, len(store.ids) - counts.train - counts.test),
    ):
        if found != expected:
            yield f"{fact} is {found}, expected {expected}"
    foreign = sorted({*manifest.train, *manifest.test}.difference(store.ids))
    if foreign:
        yield f"{len(foreign)} clips are not in the store, the first is {foreign[0]}"
    known = {spec.name: spec for spec in metadata.dataset_spec().protocols}.get(protocol)
    if manifest.subset is None:
        official = (known.official_train, known.official_test) if known else (None, None)
        told = (counts.official_train, counts.official_test)
        if told != official:
            yield f"the official counts are {told[0]} and {told[1]}, expected {official[0]} and {official[1]}"


def _remedy(store: Store, command: str) -> str:
    if isinstance(store.metadata.policy, ImportedPolicy):
        return "An imported file brings its own split: run the same `mampctl import` again, it writes the split anew."
    return f"Build it again: {command}"


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
