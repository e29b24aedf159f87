"""The store format: array names, columns, dtypes and root metadata. See docs/store-format.md."""

from typing import Literal

from mamp_schemas.base import Model
from mamp_schemas.datasets import DATASETS, Dataset, DatasetName
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.skeleton import Skeleton

FORMAT_VERSION: Literal[1] = 1

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
    "mean_intensity": "float32",
    "digest": "uint8",
}
"""Columns of `clips/` and their dtypes. `id` is (clips, width) of NUL-padded ASCII, `digest` (clips, 16);
the others are (clips,). Body b of a clip has rows first_row + b·frames ... + frames; -1 where unknown."""

DIGEST_BYTES = 16


class Quarantined(Model):
    """A raw file left out, and why. `line` is 1-based; 0 where no line is to blame."""

    file: str
    line: int
    reason: str


class StoreCounts(Model):
    """Totals of a store; `excluded` files were left out by a list, `foreign` ones are of another dataset."""

    clips: int
    rows: int
    bodies: int
    frames: int
    excluded: int
    foreign: int
    quarantined: int


class StoreMetadata(Model):
    """The root attributes of a finished store, written last: their presence is the completion mark.

    Attributes:
        content_hash: sha256 over policy, motion spec and every clip's digest, sorted by clip id: the same
            for the same input and policy, however the work was divided.
        source: fingerprint of the raw input: names, sizes, and CRCs or times of writing of its files.
        versions: package versions that made the store.
    """

    complete: Literal[True]
    format_version: Literal[1]
    dataset: DatasetName
    skeleton: Skeleton
    policy: IngestPolicy
    policy_hash: str
    motion: MotionSpec
    source: str
    versions: dict[str, str]
    counts: StoreCounts
    content_hash: str
    quarantined: tuple[Quarantined, ...]

    def spec(self) -> Dataset:
        """Return the dataset's description."""
        return DATASETS[self.dataset]
