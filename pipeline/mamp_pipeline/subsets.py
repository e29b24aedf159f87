"""Subsets of the training clips for semi-supervised evaluation."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import ManifestError, UsageError
from mamp_schemas.io.manifests import manifest_path, write_manifest
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.splits import SplitCounts, SplitManifest, Subset


def sample_clips(ids: Sequence[str], labels: Sequence[int], subset: Subset) -> tuple[str, ...]:
    """Draw a subset of clips: the first ones in the order of a hash of seed, draw and id.

    So a draw depends on neither the order of the clips nor a random generator, and a smaller fraction is a subset of a
    larger one of the same seed and draw.

    Args:
        ids: clip ids.
        labels: their classes.
        subset: how many to draw, and how.

    Returns:
        The drawn ids, sorted.
    """
    ranked = sorted(zip(ids, labels, strict=True), key=lambda clip: (_sort_key(clip[0], subset), clip[0]))
    if subset.sampling == "uniform":
        return tuple(sorted(name for name, _ in ranked[: int(len(ranked) * subset.fraction)]))
    remaining = {label: max(1, round(clips * subset.fraction)) for label, clips in Counter(labels).items()}
    drawn = []
    for name, label in ranked:
        if remaining[label]:
            remaining[label] -= 1
            drawn.append(name)
    return tuple(sorted(drawn))


def subset_manifest(store: Store, parent: SplitManifest, subset: Subset) -> SplitManifest:
    """Return the manifest of a subset of the parent's training clips, with all of its test clips.

    Raises:
        ManifestError: a training clip has no label.
        UsageError: the fraction of the training clips is less than one clip.
    """
    labels = train_labels(store, parent)
    train = sample_clips(parent.train, labels.tolist(), subset)
    if not train:
        raise UsageError(
            f"{subset.fraction} of {len(parent.train)} training clips is less than one clip",
            remedy="Choose a larger --fraction.",
        )
    counts = SplitCounts(
        train=len(train), test=len(parent.test), unlisted=len(store.ids) - len(train) - len(parent.test)
    )
    return parent.replaced(train=train, valid=(), counts=counts, subset=subset, parent=parent.digest())


def write_subsets(store: Store, parent: SplitManifest, subsets: Sequence[Subset]) -> list[SplitManifest]:
    """Make the manifests of subsets, then write them beside the store."""
    manifests = [subset_manifest(store, parent, subset) for subset in subsets]
    for subset, manifest in zip(subsets, manifests, strict=True):
        write_manifest(manifest_path(store.path, parent.protocol, subset), manifest)
    return manifests


def train_labels(store: Store, manifest: SplitManifest) -> NDArray[np.int64]:
    """Return the labels of a manifest's training clips, in its order.

    Raises:
        ManifestError: a clip has none.
    """
    labels = store.column("label")[store.clip_indices(manifest.train)]
    unknown = np.flatnonzero(labels < 0)
    if unknown.size:
        raise ManifestError(
            f"{store.path}: {unknown.size:,} training clips have no label, the first is "
            f"{manifest.train[int(unknown[0])]}",
            remedy="Drawing a subset needs the labels: ingest these clips with labels, or leave them out.",
        )
    return labels


def _sort_key(name: str, subset: Subset) -> bytes:
    return hashlib.blake2b(f"{subset.seed}/{subset.draw}/{name}".encode(), digest_size=16).digest()
