"""Split protocols: which clips of a dataset are for training and which for testing."""

from typing import Annotated, Literal

from pydantic import Field

from mamp_schemas.models.base import Model

SplitProtocolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$")]
"""A name that a manifest's file can bear; a dataset's specification lists its own."""

SplitColumn = Literal["subject", "camera", "setup", "xsub", "xview"]
Split = Literal["train", "test"]

LISTED_TRAIN, LISTED_TEST, UNLISTED = 0, 1, -1
"""The columns `xsub` and `xview`: the side that a split list puts a clip's video on, or that none names it."""


class SplitProtocol(Model):
    """An evaluation protocol: a clip is on the train side when its `column` is one of `train`.

    Attributes:
        name: the protocol's name.
        column: the store's column that decides: a number of the clips, or, `xsub` and `xview`, the side that a
            dataset's own split lists name.
        test: what puts a clip on the test side; None stands for everything else. A clip on neither side is in
            no manifest.
        official_train, official_test: clip counts after the removal of missing skeletons; None where there
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
        """Whether the dataset's own split lists, not the clips' numbers, name the sides."""
        return self.column in ("xsub", "xview")

    def split_of(self, value: int) -> Split | None:
        """Return the side of a clip from the value of its column; None where it is on neither."""
        if value in self.train:
            return "train"
        return "test" if self.test is None or value in self.test else None


def listed_protocol(name: Literal["xsub", "xview"], train: int | None = None, test: int | None = None) -> SplitProtocol:
    """Return a protocol whose sides split lists name, with its official counts."""
    return SplitProtocol(
        name=name, column=name, train=(LISTED_TRAIN,), test=(LISTED_TEST,), official_train=train, official_test=test
    )
