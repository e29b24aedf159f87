"""The store format: array names, columns, dtypes, motion specification and root metadata. See docs/store-format.md."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mamp_schemas.models.base import Model
from mamp_schemas.models.body_sizes import BodySizes
from mamp_schemas.models.dataset import DatasetSpec, dataset_identity, dataset_spec
from mamp_schemas.models.layout import METRES_PER_UNIT, Layout
from mamp_schemas.models.policy import StorePolicy
from mamp_schemas.models.skeleton import Skeleton


class MotionSpec(Model):
    """How a store's `motion` and `intensity` were computed.

    Attributes:
        stride: m of eq. 2; the last m frames of a body are zero (eq. 3).
        segment: l of eq. 4; intensity compares frames l apart, the first l frames repeat the next l.
    """

    stride: int = Field(default=1, ge=1)
    segment: int = Field(default=4, ge=1)


FORMAT_VERSION: Literal[2] = 2
"""Version 2 has checksums of columns and rows, and a digest of the root object."""

ROW_ARRAYS = ("joints", "motion", "intensity")
"""Row arrays, float32: joints (rows, V, 3) metres, motion (rows, V, 3), intensity (rows, V)."""

CLIP_COLUMNS: dict[str, str] = {
    "id": "uint8",
    "label": "int16",
    "first_row": "int64",
    "frames": "int32",
    "bodies": "uint8",
    "valid_frames": "int32",
    "subject": "int16",
    "camera": "int16",
    "setup": "int16",
    "replication": "int16",
    "xsub": "int8",
    "xview": "int8",
    "mean_intensity": "float32",
    "digest": "uint8",
}
"""Columns of `clips/` and their dtypes. `id` is (clips, width) of NUL-padded ASCII, `digest` (clips, 16);
the others are (clips,). Body b of a clip has rows first_row + b·frames ... + frames; -1 where unknown.
`xsub` and `xview` are the split in the dataset's own split lists: 0 train, 1 test, -1 in no list."""

NOTE_DESCRIPTIONS: dict[str, str] = {
    "empty_body": "clips whose second body is zeros throughout (several ids that joined the first body)",
    "bodies_left": "clips with more bodies than the layout's `bodies`: those that move most were kept",
    "frames_left": "frames in which only bodies were seen that were not kept, left out (where a tracker gives one "
    "person several ids, leave the ids out of the layout)",
    "all_zero": "instances without any position, dropped",
    "interval_cut": "clips whose labelled interval runs beyond the video's end, cut there",
    "frames_cut": "clips longer than the policy's max_frames, cut there",
}
"""What an ingest counts besides clips and files, by the keys of `StoreMetadata.noted`."""

WARNED_NOTES = ("bodies_left", "frames_left")
"""Those that an ingest warns of."""

DIGEST_BYTES = 16


class StoreChecksums(Model):
    """Checksums of what a store's arrays hold, each at its place: content that is not where it was written is found.

    They are of decoded values up to the store's last clip and row, not of stored objects: an append may add to the last
    object of an array before it replaces the root.

    Attributes:
        columns: for each clip column and chunk, the blake2b (16 bytes, in hex) of its values.
        rows: for each row array, the CRC-32C (8 hex digits) of the rows of each chunk inside the shards, one after the
            other.
    """

    columns: dict[str, tuple[str, ...]]
    rows: dict[str, Annotated[str, Field(pattern=r"^([0-9a-f]{8})*$")]]


class QuarantinedFile(Model):
    """A raw file that was left out, and why. `line` is 1-based; 0 if the reason concerns no line."""

    file: str
    line: int
    reason: str


class LeftOutFiles(Model):
    """Files of the raw input that look like raw files, and were left out for the same reason."""

    reason: str
    files: tuple[str, ...]

    def lines(self, most: int) -> list[str]:
        """Return their number and reason, and the first files, at most as many as `most`."""
        hidden = len(self.files) - most
        more = [f"  and {hidden:,} more"] if hidden > 0 else []
        return [f"left out {len(self.files):,}: {self.reason}", *(f"  {file}" for file in self.files[:most]), *more]


class StoreCounts(Model):
    """Totals of a store.

    Attributes:
        excluded: files left out by a list.
        foreign: files of another dataset.
        left_out: files that look like raw files and were left out; `StoreMetadata.left_out` has them with reasons.
        other: other files of the folders and archives, which do not look like raw files.
    """

    clips: int
    rows: int
    bodies: int
    frames: int
    excluded: int
    foreign: int
    left_out: int
    other: int
    quarantined: int


class StoreMetadata(Model):
    """The root attributes of a finished store, written last: their presence is the completion mark.

    Attributes:
        content_hash: sha256 over policy, motion spec and every clip's digest, sorted by clip id: the same
            for the same input and policy, however the work was divided.
        source: fingerprint of the raw input: the sum, modulo 2^256, of the sha256 of each file's id, size and
            CRC or time of writing, of a video also of its labels and splits; of an imported file its sha256.
        ingests: the fingerprint of every ingest whose input the store holds, the first and all appends.
        policy_diff: for each field in which the policy differs from `paper`, how many clips would be other clips, or
            none, if this field alone were changed in `paper`. Clips are compared as they are read: both slots and the
            number of valid frames.
        noted: how often something worth knowing happened, by the keys of `NOTE_DESCRIPTIONS`, without zeros.
        left_out: files that look like raw files and were not read, by reason.
        sizes: what the clips' bodies measure; None in stores without this measurement.
        versions: package versions that made the store.
        layout: what own recordings were read by; None for datasets with a format of their own.
        spec: the dataset's specification, where another distribution brings the dataset: the store can be read
            without it. None for in-tree datasets.
    """

    complete: Literal[True]
    format_version: Literal[2]
    dataset: str
    skeleton: Skeleton
    policy: StorePolicy
    policy_hash: str
    motion: MotionSpec
    source: str
    ingests: tuple[str, ...]
    versions: dict[str, str]
    counts: StoreCounts
    content_hash: str
    policy_diff: dict[str, int] = Field(default_factory=dict)
    noted: dict[str, int] = Field(default_factory=dict)
    sizes: BodySizes | None = None
    quarantined: tuple[QuarantinedFile, ...]
    left_out: tuple[LeftOutFiles, ...] = ()
    layout: Layout | None = None
    spec: DatasetSpec | None = None

    @model_validator(mode="after")
    def _layout_and_spec_of_this_dataset(self) -> "StoreMetadata":
        described = self.layout.dataset_spec() if self.layout else self.spec
        if described is not None and described.name != self.dataset:
            raise ValueError(f"the store is of {self.dataset}, its description of {described.name}")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_spec(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = serialise(self)
        if self.spec is None:  # the metadata of in-tree datasets has no such key
            data.pop("spec", None)
        return data

    def dataset_spec(self) -> DatasetSpec:
        """Return the dataset's specification: the store's own, or that of the registered dataset.

        Raises:
            UsageError: the store has none, and no dataset of its name is registered.
        """
        return self.spec or dataset_spec(self.dataset, self.layout)

    @property
    def in_metres(self) -> bool:
        """Whether the positions are said to be metres: those of a layout with normalised coordinates are not."""
        return self.layout is None or self.layout.units in METRES_PER_UNIT

    def describe_sizes(self) -> str:
        """Return in one line what the bodies of the clips measure."""
        return self.sizes.summary("m" if self.in_metres else "") if self.sizes else "not measured"

    def warnings(self) -> list[str]:
        """Return what is unusual of the sizes of persons, for the user to judge."""
        return list(self.sizes.warnings(metres=self.in_metres)) if self.sizes else []

    def contains_source(self, fingerprint: str) -> bool:
        """Return whether the input of this fingerprint was ingested into the store, as it is to the last byte."""
        return fingerprint in (self.source, *self.ingests)

    def dataset_identity(self) -> str:
        """Return how the content hash names the dataset."""
        return dataset_identity(self.dataset, self.layout)
