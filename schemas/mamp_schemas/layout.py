"""Layouts: what own recordings look like, so that they can be ingested. See docs/own-data.md."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mamp_schemas.base import Model
from mamp_schemas.datasets import DATASETS, DatasetSpec, DatasetName, require_known_dataset
from mamp_schemas.layout_files import CsvFiles, JsonFiles, NpyFiles
from mamp_schemas.protocols import SplitProtocol
from mamp_schemas.skeleton import SKELETONS, Skeleton

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
NUMERIC_NAME_GROUPS = ("subject", "camera", "setup", "replication")
"""What a file's name may tell of a clip, besides its label."""

METRES_PER_UNIT = {"metres": 1.0, "millimetres": 1000.0}
"""How many of a unit make a metre."""


def _parse_skeleton(value: Any) -> Any:
    """Read a skeleton's name or a joint map; whatever else, a stored layout's skeleton too, is left to `Skeleton`."""
    if isinstance(value, str):
        if value not in SKELETONS:
            raise ValueError(f"no skeleton of that name; the named ones are: {', '.join(SKELETONS)}")
        return SKELETONS[value]
    if not isinstance(value, dict):
        return value
    joints = value.get("joints")
    if isinstance(joints, dict) and "centre" in value:
        places = {name: place for place, name in enumerate(joints)}
        for name in (*joints.values(), value["centre"]):
            if not isinstance(name, str) or name not in places:
                raise ValueError(f"'{name}' is named as a parent or as the centre, but is none of the joints")
        parents = tuple(places[name] for name in joints.values())
        return {**value, "joints": tuple(joints), "parents": parents, "centre": places[value["centre"]]}
    return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}


class Layout(Model):
    """What a folder of own recordings looks like: one file a clip.

    Attributes:
        name: what the recordings are called.
        skeleton: the joints in the files' order: the name of a known skeleton (kinect_v1, kinect_v2, coco_17,
            mediapipe_33), or a joint map with `name`, `centre` and `joints`, the latter `joint: parent` for each.
        files: how one file is laid out.
        units: what the files' coordinates are in; stores hold metres.
        axes: which coordinates of the files, with which sign, become the clip's x, y (up) and z.
        missing: what becomes of a joint without a position in a frame in which its body has others: the file is
            refused, the joint stands at the file's origin (zeros), or it keeps its last position (hold), before
            the first one its first.
        bodies: M, body slots of a clip; of files with more bodies those that move most are kept.
        fps: frames per second, recorded with the store; nothing is resampled.
        names: a regular expression that file names without folder and suffix must match as a whole; its groups
            `subject`, `camera`, `setup` and `replication` are read as numbers, its group `label` as text.
        labels: where a clip's label stands: in its `name`, as the name of the innermost `folder`, or nowhere.
        classes: the labels as names or folders write them; a clip's class is its label's place in this list.
        protocols: which subjects, cameras or setups train; all others test.
    """

    name: str = Field(min_length=1)
    skeleton: Annotated[Skeleton, BeforeValidator(_parse_skeleton)]
    files: CsvFiles | NpyFiles | JsonFiles = Field(discriminator="format")
    units: Literal["metres", "millimetres"]
    axes: tuple[Axis, Axis, Axis] = ("x", "y", "z")
    missing: Literal["refuse", "zeros", "hold"] = "refuse"
    bodies: int = Field(default=1, ge=1, le=2)
    fps: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    names: str = ".*"
    labels: Literal["name", "folder", "none"] = "none"
    classes: tuple[str, ...] = ()
    protocols: tuple[SplitProtocol, ...] = ()

    @model_validator(mode="after")
    def _axes_differ(self) -> "Layout":
        if {axis.strip("-") for axis in self.axes} != {"x", "y", "z"}:
            raise ValueError(
                f"axes must name x, y and z once each, with or without a minus; got {', '.join(self.axes)}"
            )
        return self

    @model_validator(mode="after")
    def _name_groups_fit(self) -> "Layout":
        try:
            groups = set(re.compile(self.names).groupindex)
        except re.error as problem:
            raise ValueError(f"names is not a regular expression: {problem}") from None
        known = {*NUMERIC_NAME_GROUPS, "label"}
        if groups - known:
            raise ValueError(f"names has a group '{min(groups - known)}'; known ones are: {', '.join(sorted(known))}")
        if ("label" in groups) != (self.labels == "name"):
            raise ValueError("names must have a group 'label' where labels is 'name', and only there")
        for protocol in self.protocols:
            if protocol.column not in groups:
                raise ValueError(
                    f"protocol {protocol.name} goes by {protocol.column}: names needs a group of that name"
                )
        return self

    @model_validator(mode="after")
    def _classes_and_protocols_differ(self) -> "Layout":
        if (self.labels == "none") == bool(self.classes):
            raise ValueError("classes are needed where labels is 'name' or 'folder', and only there")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must differ")
        if len({protocol.name for protocol in self.protocols}) != len(self.protocols):
            raise ValueError("protocols must have different names")
        return self

    @property
    def metres_per_unit(self) -> float:
        """How many of the files' units make a metre."""
        return METRES_PER_UNIT[self.units]

    def dataset_spec(self) -> DatasetSpec:
        """Return the dataset that recordings of this layout are."""
        return DatasetSpec(
            name="custom",
            title=self.name,
            skeleton=self.skeleton,
            classes=len(self.classes),
            bodies=self.bodies,
            protocols=self.protocols,
        )


def dataset_spec(dataset: DatasetName, layout: Layout | None) -> DatasetSpec:
    """Return a dataset's description: own recordings are described by their layout.

    Raises:
        UsageError: own recordings without a layout.
    """
    return layout.dataset_spec() if layout else DATASETS[require_known_dataset(dataset)]


def dataset_identity(dataset: DatasetName, layout: Layout | None) -> str:
    """Return what a dataset is known by in hashes: its name, of own recordings with the whole layout's digest."""
    return f"{dataset} {layout.digest()}" if layout else dataset
