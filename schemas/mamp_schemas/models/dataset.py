"""What a dataset is: skeleton, classes, body slots, split protocols with official counts, policies."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field

from mamp_schemas.errors import UsageError
from mamp_schemas.models.base import Model
from mamp_schemas.models.policy import PAPER_POLICY, IngestPolicy, PolicyName, corrected_policy
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.splits import ClipNumber, SplitProtocol
from mamp_schemas.registry import DATASETS

if TYPE_CHECKING:
    from mamp_schemas.models.layout import Layout

DatasetName = Annotated[str, AfterValidator(DATASETS.check)]
"""The name of a registered dataset, for what users write; what is only read takes any string."""


class DatasetSpec(Model):
    """A dataset of skeleton clips; the options of a dataset in the registry.

    Attributes:
        name: its name in the registry.
        title: what pages and messages call it.
        skeleton: the joints of a body.
        class_names: a name for each class, in the order of the labels.
        class_mark: how a class is marked where space is short, of its `number` (from 1) and `name`.
        bodies: M, the body slots of a sample.
        protocols: the split protocols; the first is the one used when none is named.
        ranges: the least and the greatest of the numbers that the dataset's names give; a clip with another number is
            none of the dataset's. A number that is not listed is not checked.
        paper_policy: how clips are cleaned, as in the authors' scripts.
        masking_temperature: τ of the motion-aware masking (eq. 5) that the paper uses for the dataset.
        count_note: what official counts are without, for messages about counts that differ; empty for nothing.
    """

    needs_layout: ClassVar[bool] = False

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=64)
    title: str
    skeleton: Skeleton
    class_names: tuple[str, ...]
    class_mark: str = "{number}"
    bodies: int = Field(ge=1, le=2)
    protocols: tuple[SplitProtocol, ...]
    ranges: dict[ClipNumber, tuple[int, int]] = Field(default_factory=dict)
    paper_policy: IngestPolicy = PAPER_POLICY
    masking_temperature: float = 0.8
    count_note: str = ""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def class_marks(self) -> tuple[str, ...]:
        """A short mark for each class, as axes bear it."""
        return tuple(
            self.class_mark.format(number=number, name=name) for number, name in enumerate(self.class_names, 1)
        )

    @property
    def class_titles(self) -> tuple[str, ...]:
        """A title for each class: its mark and its name."""
        pairs = zip(self.class_marks, self.class_names, strict=True)
        return tuple(name if mark == name else f"{mark} {name}" for mark, name in pairs)

    def find_out_of_range(self, numbers: Mapping[str, int]) -> str:
        """Return which of a clip's numbers the dataset does not have, and what it has; empty if there is none.

        Args:
            numbers: `label` (0-based) and the names of `ranges`; −1 is unknown and fits.
        """
        label = numbers.get("label", -1)
        if label < -1 or label >= self.classes:
            return f"action {label + 1}, {self.title} has 1 to {self.classes}"
        for name, (least, greatest) in self.ranges.items():
            number = numbers.get(name, -1)
            if number != -1 and not least <= number <= greatest:
                return f"{name} {number}, {self.title} has {least} to {greatest}"
        return ""

    def with_layout(self, layout: "Layout | None") -> Self:
        """Return the specification itself: the dataset has a format of its own.

        Raises:
            UsageError: a layout is given.
        """
        if layout is not None:
            raise UsageError(f"{self.name} has a format of its own, no layout", remedy="Leave out --layout.")
        return self

    def policy(self, name: PolicyName) -> IngestPolicy:
        """Return a policy by its name."""
        return self.paper_policy if name == "paper" else corrected_policy(self.paper_policy)

    def protocol(self, name: str) -> SplitProtocol:
        """Return a protocol by name.

        Raises:
            UsageError: the dataset has no such protocol.
        """
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        if not self.protocols:
            raise UsageError(
                f"{self.title} has no protocols",
                remedy="Add them to the layout as docs/own-data.md shows; ingest again.",
            )
        known = ", ".join(protocol.name for protocol in self.protocols)
        raise UsageError(
            f"{self.title} has no protocol '{name}'; its protocols are: {known}",
            remedy=f"Choose one of them: --protocol {self.protocols[0].name}",
        )


def dataset_spec(dataset: str, layout: "Layout | None" = None) -> DatasetSpec:
    """Return a registered dataset's specification; a layout specifies own recordings.

    Raises:
        UsageError: no such dataset is registered; own recordings without a layout, or a layout for another dataset.
    """
    spec: DatasetSpec = DATASETS.options(dataset).with_layout(layout)
    return spec


def fixed_spec(dataset: str) -> DatasetSpec | None:
    """Return the specification of a registered dataset; None for own recordings, each of which has its own.

    Raises:
        UsageError: no such dataset is registered.
    """
    options = DATASETS.options(dataset)
    return None if options.needs_layout else dataset_spec(dataset)


def fixed_specs() -> dict[str, DatasetSpec]:
    """Return the specifications of all registered datasets but own recordings, by name."""
    specs = {name: fixed_spec(name) for name in DATASETS.names()}
    return {name: spec for name, spec in specs.items() if spec is not None}


def dataset_identity(dataset: str, layout: "Layout | None") -> str:
    """Return how hashes name a dataset: its name, for own recordings with the digest of the whole layout."""
    return f"{dataset} {layout.digest()}" if layout else dataset
