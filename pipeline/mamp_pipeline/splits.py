"""Split manifests: which clips of a store a protocol trains on and which it tests on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.places import read_bytes
from mamp_pipeline.store.files import write_atomic
from mamp_pipeline.store.read import Store
from mamp_schemas.base import parse_model_json
from mamp_schemas.errors import ManifestError
from mamp_schemas.output import output_errors
from mamp_schemas.places import StoragePath
from mamp_schemas.policy import ImportedPolicy
from mamp_schemas.protocols import SplitProtocol
from mamp_schemas.splits import SplitCounts, SplitManifest, Subset, check_manifest_of_store, manifest_name
from mamp_schemas.store import StoreMetadata


def split_clips(
    ids: Sequence[str], values: NDArray[np.integer], protocol: SplitProtocol
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide clips into (train ids, test ids), each sorted; a clip may be on neither side.

    Args:
        ids: clip ids.
        values: (clips,) the protocol's column.
        protocol: says which values train and which test.
    """
    sides = {value: protocol.split_of(value) for value in np.unique(values).tolist()}
    names = np.asarray(ids, dtype=np.str_)
    train, test = (
        np.isin(values, [value for value, side in sides.items() if side == wanted]) for wanted in ("train", "test")
    )
    return tuple(sorted(names[train].tolist())), tuple(sorted(names[test].tolist()))


def build_manifest(store: Store, protocol_name: str) -> SplitManifest:
    """Divide a store's clips by a protocol.

    Raises:
        UsageError: the dataset has no such protocol.
        ManifestError: the store holds no clips, or does not tell which side they are on.
    """
    protocol = store.metadata.dataset_spec().protocol(protocol_name)
    if not store.ids:
        raise ManifestError(
            f"{store.path}: the store holds no clips, nothing to split",
            remedy=f"See why its files were quarantined: mampctl info {store.path}",
        )
    values = store.columns[protocol.column]
    _check_split_values(store, protocol, values)
    train, test = split_clips(store.ids, values, protocol)
    return make_manifest(store.metadata, protocol, train, test)


def make_manifest(
    metadata: StoreMetadata,
    protocol: SplitProtocol,
    train: tuple[str, ...],
    test: tuple[str, ...],
    valid: tuple[str, ...] = (),
) -> SplitManifest:
    """Return the manifest of a store's sides, counted."""
    return SplitManifest(
        format_version=1,
        dataset=metadata.dataset,
        protocol=protocol.name,
        content_hash=metadata.content_hash,
        counts=SplitCounts(
            train=len(train),
            test=len(test),
            unlisted=metadata.counts.clips - len(train) - len(test),
            official_train=protocol.official_train,
            official_test=protocol.official_test,
        ),
        train=train,
        test=test,
        valid=valid,
    )


def _check_split_values(store: Store, protocol: SplitProtocol, values: NDArray[np.integer]) -> None:
    """Make sure that each clip's side is known, or, where lists name both sides, that of any clip."""
    unknown = values < 0
    if not (unknown.any() if protocol.test is None else unknown.all()):
        return
    if isinstance(store.metadata.policy, ImportedPolicy):
        remedy = "An imported file brings its own split: run the same mampctl import again for that."
    elif protocol.listed:
        remedy = "Ingest again with the split list of that protocol among --raw, to another --out."
    else:
        remedy = "The names of the recordings must tell it: see docs/own-data.md."
    what = f"side in {protocol.name} by a split list" if protocol.listed else f"{protocol.column} number to split by"
    raise ManifestError(
        f"{store.path}: {np.count_nonzero(unknown):,} clips have no {what}, the first is "
        f"{store.ids[int(np.argmax(unknown))]}",
        remedy=remedy,
    )


def manifest_path(store: StoragePath, protocol: str, subset: Subset | None = None) -> StoragePath:
    """Return where a store's manifest of a protocol, or of a draw from it, stands: beside it."""
    store = store.resolve()
    return store.with_name(manifest_name(store.name, protocol, subset))


def write_manifest(path: StoragePath, manifest: SplitManifest) -> None:
    """Write a manifest under its final name in one step."""
    with output_errors(path):
        write_atomic(path, (manifest.model_dump_json(indent=1) + "\n").encode(), durable=True)


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
