"""Split manifests: the clip ids of a protocol's two sides, bound to one store's content."""

from typing import Literal

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName, ProtocolName


def manifest_name(store: str, protocol: str) -> str:
    """Return the file name of a protocol's manifest, which stands beside the store of that name."""
    return f"{store.removesuffix('.zarr')}.{protocol}.json"


class SplitCounts(Model):
    """Clips on each side, and the official numbers they are held against, if there are any."""

    train: int
    test: int
    official_train: int | None = None
    official_test: int | None = None


class SplitManifest(Model):
    """One protocol's train and test clip ids, sorted, bound to a store by its content hash."""

    format_version: Literal[1]
    dataset: DatasetName
    protocol: ProtocolName
    content_hash: str
    counts: SplitCounts
    train: tuple[str, ...]
    test: tuple[str, ...]
