"""The sides of a store's protocols, held against the official counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.splits import build_manifest, read_manifest
from mamp_pipeline.store.read import Store
from mamp_schemas.errors import ManifestError
from mamp_schemas.protocols import SplitProtocolName
from mamp_schemas.splits import SplitManifest

TRAIN, TEST, NEITHER = 0, 1, 2
SPLIT_NAMES = {TRAIN: "train", TEST: "test", NEITHER: "neither"}


@dataclass(frozen=True)
class ProtocolSplit:
    """On which side of a protocol each clip is.

    Attributes:
        side: (N,) int64 of `SIDE_NAMES`, or None where the store does not tell.
        official: the official counts of train and test, None where there are none.
        problem: why the sides are not known; empty where they are.
    """

    protocol: SplitProtocolName
    split: NDArray[np.int64] | None
    official: tuple[int | None, int | None]
    problem: str


def find_protocol_splits(store: Store) -> list[ProtocolSplit]:
    """Return the sides by each of the dataset's protocols: from the clip columns, else from the manifest beside."""
    found = []
    for protocol in store.metadata.dataset_spec().protocols:
        official = (protocol.official_train, protocol.official_test)
        try:
            side, problem = _split_of_clips(store, _find_manifest(store, protocol.name)), ""
        except ManifestError as unknown:
            # Pages name no place on the machine.
            side, problem = None, unknown.message.removeprefix(f"{store.path}: ")
        found.append(ProtocolSplit(protocol.name, side, official, problem))
    return found


def _find_manifest(store: Store, protocol: SplitProtocolName) -> SplitManifest:
    try:
        return build_manifest(store, protocol)
    except ManifestError as untold:
        try:
            return read_manifest(store, protocol)
        except ManifestError:
            raise untold from None


def _split_of_clips(store: Store, manifest: SplitManifest) -> NDArray[np.int64]:
    sides = dict.fromkeys(manifest.train, TRAIN) | dict.fromkeys(manifest.test, TEST)
    return np.array([sides.get(clip, NEITHER) for clip in store.ids], dtype=np.int64)
