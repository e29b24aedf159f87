"""Split protocols: which clips of a dataset are for training and which for testing."""

from typing import Annotated, Literal

from pydantic import Field

from mamp_schemas.models.base import Model

SplitProtocolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$")]
"""A protocol's name, fit for file names; a dataset's specification lists the dataset's."""

SplitColumn = Literal["subject", "camera", "setup", "xsub", "xview"]
Split = Literal["train", "test"]

LISTED_TRAIN, LISTED_TEST, UNLISTED = 0, 1, -1
"""Values of the columns `xsub` and `xview`: the side on which a split list has a clip's video, or no list has it."""


class SplitProtocol(Model):
    """A split protocol: a clip is on the train side if its `column` is one of `train`.

    Attributes:
        name: the protocol's name.
        column: the store's column that decides: a number of the clips, or, for `xsub` and `xview`, the side in the
            dataset's own split lists.
        train: the values of the train side.
        test: the values of the test side; None for all others. A clip on neither side is in no manifest.
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
        """Whether the dataset's own split lists, not the clips' numbers, decide the side."""
        return self.column in ("xsub", "xview")

    def split_of(self, value: int) -> Split | None:
        """Return the side of a clip from the value of its column; None for neither."""
        if value in self.train:
            return "train"
        return "test" if self.test is None or value in self.test else None


def listed_protocol(name: Literal["xsub", "xview"], train: int | None = None, test: int | None = None) -> SplitProtocol:
    """Return a protocol whose sides are in split lists, with its official counts."""
    return SplitProtocol(
        name=name, column=name, train=(LISTED_TRAIN,), test=(LISTED_TEST,), official_train=train, official_test=test
    )
