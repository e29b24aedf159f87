"""Split manifests: the clip ids of a protocol's train and test splits, bound to the content of one store."""

from typing import Literal

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model

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
    dataset: str
    protocol: str
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
