"""Split manifests: the clip ids of a protocol's two sides, bound to one store's content."""

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import ManifestError
from mamp_schemas.places import StoragePath
from mamp_schemas.protocols import SplitProtocolName

SubsetSampling = Literal["uniform", "stratified"]


class Subset(Model):
    """A part of the training clips, drawn once so that every run has the same (semi-supervised evaluation).

    Attributes:
        fraction: the share of the training clips that is drawn.
        sampling: `uniform` draws int(clips · fraction) of all clips, as the authors do, so that a class may come
            away with none; `stratified` draws that share of each class, rounded, and at least one clip.
        seed: of all draws of a fraction; runs have a seed of their own.
        draw: 1, 2, …: which of them.
    """

    fraction: float = Field(gt=0, lt=1)
    sampling: SubsetSampling = "uniform"
    seed: int = Field(default=0, ge=0)
    draw: int = Field(default=1, ge=1)


def manifest_name(store: str, protocol: str, subset: Subset | None = None) -> str:
    """Return the file name of a protocol's manifest, or of a draw from it; it stands beside the store of that name."""
    drawn = f".{subset.fraction}-{subset.sampling}-seed{subset.seed}-draw{subset.draw}" if subset else ""
    return f"{store.removesuffix('.zarr')}.{protocol}{drawn}.json"


class SplitCounts(Model):
    """Clips on each side, and the official numbers they are held against where there are any.

    Attributes:
        unlisted: clips on neither side, such as those of videos that no split list names.
    """

    train: int
    test: int
    unlisted: int = 0
    official_train: int | None = None
    official_test: int | None = None


class SplitManifest(Model):
    """One protocol's train and test clip ids, bound to a store by its content hash.

    Attributes:
        train, test: in the order in which exports write them: sorted, or that of the file they came in.
        valid: the clips of `train` that an imported file held apart for validation.
        subset: how `train` was drawn, where it is a part of a protocol's; None where it is the whole.
        parent: digest of the manifest that it was drawn from.
    """

    format_version: Literal[1]
    dataset: DatasetName
    protocol: SplitProtocolName
    content_hash: str
    counts: SplitCounts
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...] = ()
    subset: Subset | None = None
    parent: str | None = None

    @model_validator(mode="after")
    def _each_clip_once(self) -> "SplitManifest":
        if len({*self.train, *self.test}) != len(self.train) + len(self.test):
            raise ValueError("a clip is named twice: no clip may be on both sides, or twice on one")
        return self

    @model_validator(mode="after")
    def _subset_has_parent(self) -> "SplitManifest":
        if (self.subset is None) != (self.parent is None):
            raise ValueError("subset and parent come together: what is drawn is drawn from something")
        return self


def check_manifest_of_store(manifest: SplitManifest, path: StoragePath, content_hash: str, ids: Collection[str], remedy: str) -> None:
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


def check_manifest_of_subset(manifest: SplitManifest, path: StoragePath, subset: Subset, parent: SplitManifest, remedy: str) -> None:
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
