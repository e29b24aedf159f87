"""Split manifests: the clip ids of a protocol's two sides, bound to one store's content."""

from collections.abc import Collection
from typing import Literal

from pydantic import model_validator

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import ManifestError
from mamp_schemas.places import Place
from mamp_schemas.protocols import ProtocolName


def manifest_name(store: str, protocol: str) -> str:
    """Return the file name of a protocol's manifest, which stands beside the store of that name."""
    return f"{store.removesuffix('.zarr')}.{protocol}.json"


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
    """

    format_version: Literal[1]
    dataset: DatasetName
    protocol: ProtocolName
    content_hash: str
    counts: SplitCounts
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _each_clip_once(self) -> "SplitManifest":
        if len({*self.train, *self.test}) != len(self.train) + len(self.test):
            raise ValueError("a clip is named twice: no clip may be on both sides, or twice on one")
        return self


def check_belongs(manifest: SplitManifest, path: Place, content_hash: str, ids: Collection[str], remedy: str) -> None:
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
