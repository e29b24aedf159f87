"""Splits: protocols, which say what clips are for training and testing, and the manifests that list their ids."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mamp_schemas.models.base import Model
from mamp_schemas.models.plain_data import MAX_INTEGER

SplitProtocolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$", max_length=64)]
"""A protocol's name, fit for file names; a dataset's specification lists the dataset's."""

ClipNumber = Literal["subject", "camera", "setup", "replication"]
"""The numbers that a clip's name may give."""

SplitColumn = Literal["subject", "camera", "setup", "replication", "xsub", "xview"]
Split = Literal["train", "test"]

LISTED_TRAIN, LISTED_TEST, UNLISTED = 0, 1, -1
"""Values of the columns `xsub` and `xview`: the split in which a split list has a clip's video, or no list has it."""


class SplitProtocol(Model):
    """A split protocol: a clip is in the train split if its `column` is one of `train`.

    Attributes:
        name: the protocol's name.
        column: the store's column that decides: a number of the clips, or, for `xsub` and `xview`, the split in the
            dataset's own split lists.
        train: the values of the train split.
        test: the values of the test split; None for all others. A clip in neither split is in no manifest.
        official_train, official_test: published clip counts, after missing skeletons are left out; None if there
            are none.
    """

    name: SplitProtocolName
    column: SplitColumn
    train: tuple[int, ...]
    test: tuple[int, ...] | None = None
    official_train: int | None = None
    official_test: int | None = None

    @property
    def listed(self) -> bool:
        """Whether the dataset's own split lists, not the clips' numbers, decide the split."""
        return self.column in ("xsub", "xview")

    def split_of(self, value: int) -> Split | None:
        """Return the split of a clip from the value of its column; None for neither."""
        if value in self.train:
            return "train"
        return "test" if self.test is None or value in self.test else None


def listed_protocol(name: Literal["xsub", "xview"], train: int | None = None, test: int | None = None) -> SplitProtocol:
    """Return a protocol whose splits are in split lists, with its official counts."""
    return SplitProtocol(
        name=name, column=name, train=(LISTED_TRAIN,), test=(LISTED_TEST,), official_train=train, official_test=test
    )


SubsetSampling = Literal["uniform", "stratified"]


class Subset(Model):
    """A subset of the training clips, drawn once so that every run uses the same (semi-supervised evaluation).

    Attributes:
        fraction: the share of the training clips that is drawn.
        sampling: `uniform` draws int(clips · fraction) of all clips, as the authors do; a class may then have none.
            `stratified` draws that share of each class, rounded, and at least one clip.
        seed: seed of all draws of a fraction; runs have a seed of their own.
        draw: the number of the draw, from 1.
    """

    fraction: float = Field(gt=0, lt=1)
    sampling: SubsetSampling = "uniform"
    seed: int = Field(default=0, ge=0, le=MAX_INTEGER)
    draw: int = Field(default=1, ge=1, le=1_000_000)


def manifest_name(store: str, protocol: str, subset: Subset | None = None) -> str:
    """Return the file name of a protocol's manifest, or of a subset's. The file is beside the store."""
    drawn = f".{subset.fraction}-{subset.sampling}-seed{subset.seed}-draw{subset.draw}" if subset else ""
    return f"{store.removesuffix('.zarr')}.{protocol}{drawn}.json"


class SplitCounts(Model):
    """Clips in each split, and the official numbers to compare them with, if there are any.

    Attributes:
        unlisted: clips in neither split, such as those of videos that no split list names.
    """

    train: int
    test: int
    unlisted: int = 0
    official_train: int | None = None
    official_test: int | None = None


class SplitManifest(Model):
    """One protocol's train and test clip ids, bound to a store by its content hash; its file carries its digest.

    Attributes:
        train, test: in the order in which exports write them: sorted, or that of the imported file.
        valid: the clips of `train` that an imported file has for validation.
        subset: how `train` was drawn from a protocol's training clips; None if it is all of them.
        parent: digest of the manifest that the subset was drawn from.
    """

    format_version: Literal[2]
    dataset: str
    protocol: str
    content_hash: str
    counts: SplitCounts
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...] = ()
    subset: Subset | None = None
    parent: str | None = None

    def canonical_data(self) -> dict[str, Any]:
        """Return plain data for the digest, by which runs know the manifest: the form of the file is no part of it."""
        return {**super().canonical_data(), "format_version": 1}

    @model_validator(mode="after")
    def _counts_of_the_lists(self) -> "SplitManifest":
        counted = {"train": len(self.train), "test": len(self.test)}
        for split, clips in counted.items():
            if getattr(self.counts, split) != clips:
                raise ValueError(f"counts.{split} is {getattr(self.counts, split)}, but {split} lists {clips} clips")
        if not set(self.valid) <= set(self.train):
            raise ValueError("valid lists clips that train does not")
        return self

    @model_validator(mode="after")
    def _each_clip_once(self) -> "SplitManifest":
        if len({*self.train, *self.test}) != len(self.train) + len(self.test):
            raise ValueError("a clip is named twice: no clip may be in both splits, or twice in one")
        return self

    @model_validator(mode="after")
    def _subset_has_parent(self) -> "SplitManifest":
        if (self.subset is None) != (self.parent is None):
            raise ValueError("subset and parent must be given together: a subset is drawn from another manifest")
        return self
