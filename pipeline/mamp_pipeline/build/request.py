"""What an ingest is asked to do, and the raw files it finds for that."""

from dataclasses import dataclass, field
from pathlib import Path

from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.pku_videos import describe_split_lists
from mamp_pipeline.raw.sources import drop_other_datasets, find_sources, read_exclude_list
from mamp_pipeline.store.write import Compression
from mamp_schemas.datasets import DatasetSpec, DatasetName
from mamp_schemas.errors import RawInputError
from mamp_schemas.layout import Layout, dataset_spec, dataset_identity
from mamp_schemas.motion import MotionSpec
from mamp_schemas.places import StoragePath
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.progress import Progress


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest, how, and to where.

    Attributes:
        raw: folders and zip archives.
        out: the store.
        exclude: a list of clip ids to leave out, such as the dataset's missing-skeleton list.
        append: extend the finished store at `out`.
        compression: of a new store's rows; changes no value and no hash.
        layout: what own recordings (dataset `custom`) look like; None for the known datasets.
    """

    dataset: DatasetName
    raw: tuple[StoragePath, ...]
    out: StoragePath
    policy: IngestPolicy
    exclude: Path | None = None
    motion: MotionSpec = field(default_factory=MotionSpec)
    append: bool = False
    compression: Compression = "none"
    layout: Layout | None = None

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's description."""
        return dataset_spec(self.dataset, self.layout)

    @property
    def identity(self) -> str:
        """What the dataset is known by in hashes."""
        return dataset_identity(self.dataset, self.layout)


@dataclass(frozen=True)
class RawInput:
    """The sources of an ingest, sorted by clip id, and how many files were left out."""

    sources: list[RawSource]
    excluded: int
    foreign: int


def find_raw_input(request: IngestRequest, progress: Progress) -> RawInput:
    """List the raw files of the request's dataset, without those its exclude list names.

    Raises:
        RawInputError: nothing to ingest was found, or a clip was found twice.
    """
    # Absolute, since workers elsewhere have a working directory of their own.
    found = find_sources([path.absolute() for path in request.raw], request.dataset, request.layout, progress)
    own = drop_other_datasets(found, request.dataset, request.layout)
    names = read_exclude_list(request.exclude, request.layout) if request.exclude else frozenset()
    kept = [source for source in own if source.id not in names]
    foreign, excluded = len(found) - len(own), len(own) - len(kept)
    title = request.spec.title
    progress.message(f"found {len(own):,} raw files of {title}")
    for line in describe_split_lists(kept):
        progress.message(line)
    if foreign:
        progress.message(f"{foreign:,} files of the same form do not belong to {title}: left out")
    if request.exclude:
        progress.message(f"{excluded:,} files left out by {request.exclude.name}")
    if not kept:
        raise RawInputError(
            f"none of the {len(found):,} raw files is left to ingest as {title}",
            remedy="Check the dataset's name, --raw and --exclude.",
        )
    return RawInput(kept, excluded, foreign)
