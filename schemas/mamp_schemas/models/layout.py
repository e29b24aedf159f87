"""Layouts describe own recordings, so that they can be ingested. See docs/own-data.md."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mamp_schemas.errors import UsageError
from mamp_schemas.models.base import Line, Model
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.layout_files import CsvFiles, JsonFiles, MatFiles, NpyFiles
from mamp_schemas.models.pattern import pattern_groups
from mamp_schemas.models.skeleton import SKELETONS, Skeleton
from mamp_schemas.models.splits import SplitProtocol

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
NUMERIC_NAME_GROUPS = ("subject", "camera", "setup", "replication")
"""Numbers that a file's name may give, besides the label."""

METRES_PER_UNIT = {"metres": 1.0, "centimetres": 100.0, "millimetres": 1000.0}
"""How many of a unit make a metre."""

PlausibilityFinding = Literal["size", "image", "flat", "coincident"]
"""Why a file's bodies are not taken for persons: their size in the stated units; x and y from 0 to 1 as in an image;
no depth, as of 2D input; most joints at one position."""


def _parse_skeleton(value: Any) -> Any:
    """Turn a skeleton's name or a joint map into a skeleton; anything else is left to `Skeleton` to check."""
    if isinstance(value, str):
        if value not in SKELETONS:
            raise ValueError(f"no skeleton of that name; the named ones are: {', '.join(SKELETONS)}")
        return SKELETONS[value]
    if not isinstance(value, dict):
        return value
    joints = value.get("joints")
    if isinstance(joints, dict) and "centre" in value:
        index = {name: number for number, name in enumerate(joints)}
        for name in (*joints.values(), value["centre"]):
            if not isinstance(name, str) or name not in index:
                raise ValueError(f"'{name}' is named as a parent or as the centre, but is none of the joints")
        parents = tuple(index[name] for name in joints.values())
        return {**value, "joints": tuple(joints), "parents": parents, "centre": index[value["centre"]]}
    return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}


class Layout(Model):
    """Describes a folder of own recordings, one file per clip.

    Attributes:
        name: what the recordings are called.
        skeleton: the joints in the files' order: the name of a known skeleton (kinect_v1, kinect_v2, azure_kinect,
            coco_17, mediapipe_33), or a joint map with `name`, `centre` and `joints`, the latter `joint: parent` for
            each.
        files: how one file is laid out.
        units: what the files' coordinates are in; stores hold metres. `normalised` coordinates are scaled to something
            else, such as the torso's length, and stay as they are.
        axes: which coordinates of the files, with which sign, become the clip's x, y (up) and z.
        accept: findings for which files are otherwise refused, because the bodies in them cannot be persons.
        missing: what to do with a joint without a position in a frame in which its body has others: refuse the file,
            put the joint at the file's origin (zeros), or keep its last position, before the first one its first
            (hold).
        bodies: M, body slots of a clip; if a file has more bodies, those that move most are kept.
        fps: frames per second, recorded with the store; nothing is resampled.
        names: a regular expression that file names without folder and suffix must match as a whole; its groups
            `subject`, `camera`, `setup` and `replication` are read as numbers, its group `label` as text.
        labels: where a clip's label is: in its `name`, in the name of the innermost `folder`, in the `file` (where
            `label` of `files` says), or nowhere.
        classes: the labels as in names, folders or files; a clip's class is its label's index in this list.
        protocols: which subjects, cameras or setups are for training; all others are for testing.
    """

    name: Line = Field(min_length=1)
    skeleton: Annotated[Skeleton, BeforeValidator(_parse_skeleton)]
    files: CsvFiles | NpyFiles | MatFiles | JsonFiles = Field(discriminator="format")
    units: Literal["metres", "centimetres", "millimetres", "normalised"]
    axes: tuple[Axis, Axis, Axis] = ("x", "y", "z")
    accept: tuple[PlausibilityFinding, ...] | None = None
    missing: Literal["refuse", "zeros", "hold"] = "refuse"
    bodies: int = Field(default=1, ge=1, le=2)
    fps: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    names: str = ".*"
    labels: Literal["name", "folder", "file", "none"] = "none"
    classes: tuple[Line, ...] = ()
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
        groups = pattern_groups(self.names)
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
    def _files_fit(self) -> "Layout":
        if (getattr(self.files, "label", None) is not None) != (self.labels == "file"):
            raise ValueError("files.label says where the label is where labels is 'file', and only there")
        lacking = set(self.skeleton.joints) - set(self.files.joint_order or self.skeleton.joints)
        if lacking:
            raise ValueError(f"files.joint_order lacks '{min(lacking)}', a joint of the skeleton")
        return self

    @model_validator(mode="after")
    def _classes_and_protocols_differ(self) -> "Layout":
        if (self.labels == "none") == bool(self.classes):
            raise ValueError("classes are needed where labels is 'name', 'folder' or 'file', and only there")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must differ")
        if len({protocol.name for protocol in self.protocols}) != len(self.protocols):
            raise ValueError("protocols must have different names")
        return self

    @property
    def metres_per_unit(self) -> float:
        """How many of the files' units make a metre; of normalised coordinates, 1."""
        return METRES_PER_UNIT.get(self.units, 1.0)

    def dataset_spec(self) -> DatasetSpec:
        """Return the dataset that recordings of this layout are."""
        return DatasetSpec(
            name="custom",
            title=self.name,
            skeleton=self.skeleton,
            class_names=self.classes,
            class_mark="{name}",
            bodies=self.bodies,
            protocols=self.protocols,
        )


class LayoutDataset:
    """Own recordings in the registry: a layout specifies each such dataset.

    Attributes:
        needs_layout: always true; a `DatasetSpec` says the opposite.
    """

    needs_layout = True

    def with_layout(self, layout: Layout | None) -> DatasetSpec:
        """Return the dataset that recordings of this layout are.

        Raises:
            UsageError: no layout is given.
        """
        if layout is None:
            raise UsageError("own recordings need a layout", remedy="docs/own-data.md says how to write one.")
        return layout.dataset_spec()


CUSTOM = LayoutDataset()
