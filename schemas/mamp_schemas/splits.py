"""Split manifests: the clip ids of a protocol's two sides, bound to one store's content."""

from typing import Literal

from mamp_schemas.base import Model
from mamp_schemas.datasets import DatasetName
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
