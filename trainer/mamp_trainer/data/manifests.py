"""Reads the split manifest beside a store."""

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.manifests import check_manifest_of_store, check_manifest_of_subset
from mamp_schemas.models.base import parse_model_json
from mamp_schemas.models.splits import SplitManifest, Subset, manifest_name
from mamp_trainer.data.store_reader import Store, read_bytes


def _subset_options(subset: Subset | None) -> str:
    if subset is None:
        return ""
    return (
        f" --fraction {subset.fraction} --sampling {subset.sampling} --seed {subset.seed} --draws {max(5, subset.draw)}"
    )


def read_manifest(store: Store, protocol: str, subset: Subset | None = None) -> SplitManifest:
    """Read a protocol's split manifest, or that of a draw from it, from beside the store.

    Raises:
        ManifestError: it is missing or unreadable, belongs to another store, names clips that the store does not
            have, or is of a draw from another manifest than the protocol's.
    """
    place = store.path.resolve()
    path = place.with_name(manifest_name(place.name, protocol, subset))
    remedy = f"Make it: mampctl build-splits --protocol {protocol} --store {store.path}{_subset_options(subset)}"
    try:
        text = read_bytes(path)
    except FileNotFoundError:
        what = f"a part of '{protocol}'" if subset else f"'{protocol}'"
        raise ManifestError(f"{path}: there is no split manifest for {what}", remedy=remedy) from None
    manifest = parse_model_json(SplitManifest, text, str(path), ManifestError)
    check_manifest_of_store(manifest, path, store.metadata.content_hash, store.ids, remedy)
    if subset is not None:
        check_manifest_of_subset(manifest, path, subset, read_manifest(store, protocol), remedy)
    return manifest
