"""Split manifests: which clips of a store a protocol trains on and which it tests on."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.store.read import Store
from mamp_schemas.base import read_json
from mamp_schemas.datasets import Protocol
from mamp_schemas.errors import ManifestError
from mamp_schemas.output import output_errors
from mamp_schemas.splits import SplitCounts, SplitManifest, check_belongs, manifest_name


def divide(
    ids: Sequence[str], values: NDArray[np.integer], protocol: Protocol
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide clips into (train ids, test ids), each sorted.

    Args:
        ids: clip ids.
        values: (clips,) the protocol's column: subject, camera or setup.
        protocol: says which values train.
    """
    train = np.isin(values, protocol.train)
    names = np.asarray(ids, dtype=np.str_)
    return tuple(sorted(names[train].tolist())), tuple(sorted(names[~train].tolist()))


def build_manifest(store: Store, protocol_name: str) -> SplitManifest:
    """Divide a store's clips by a protocol.

    Raises:
        UsageError: the dataset has no such protocol.
        ManifestError: the store holds no clips.
    """
    protocol = store.metadata.spec().protocol(protocol_name)
    if not store.ids:
        raise ManifestError(
            f"{store.path}: the store holds no clips, nothing to split",
            remedy=f"See why its files were quarantined: mampctl info {store.path}",
        )
    train, test = divide(store.ids, store.columns[protocol.column], protocol)
    return SplitManifest(
        format_version=1,
        dataset=store.metadata.dataset,
        protocol=protocol.name,
        content_hash=store.metadata.content_hash,
        counts=SplitCounts(
            train=len(train),
            test=len(test),
            official_train=protocol.official_train,
            official_test=protocol.official_test,
        ),
        train=train,
        test=test,
    )


def manifest_path(store: Path, protocol: str) -> Path:
    """Return where a store's manifest of a protocol stands: beside it."""
    store = store.resolve()
    return store.with_name(manifest_name(store.name, protocol))


def write_manifest(path: Path, manifest: SplitManifest) -> None:
    """Write a manifest under its final name in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with output_errors(path):
        try:
            temporary.write_text(manifest.model_dump_json(indent=1) + "\n")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def read_manifest(store: Store, protocol: str) -> SplitManifest:
    """Read the manifest beside a store.

    Raises:
        ManifestError: it is missing, damaged or belongs to another store.
    """
    path = manifest_path(store.path, protocol)
    command = f"mampctl build-splits --protocol {protocol} --store {store.path}"
    if not path.exists():
        raise ManifestError(f"{path}: no split manifest there", remedy=f"Make it with: {command}")
    manifest = read_json(SplitManifest, path.read_bytes(), str(path), ManifestError)
    check_belongs(manifest, path, store.metadata.content_hash, store.ids, f"Make it again with: {command}")
    return manifest
