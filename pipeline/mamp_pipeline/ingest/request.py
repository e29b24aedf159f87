"""The request of an ingest, the raw files that it finds, and the store that may already be at its output."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from mamp_pipeline.datasets.base import DatasetReader, find_reader
from mamp_pipeline.datasets.discover import FoundSources, find_sources, read_exclude_list
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import fingerprint
from mamp_pipeline.ingest.staging import read_owner_marker, remove_staging, staging_path
from mamp_pipeline.store.writer import Compression
from mamp_schemas.errors import RawInputError, StoreExistsError
from mamp_schemas.io.locks import lock_output
from mamp_schemas.io.storage import exists
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store, is_complete, open_store
from mamp_schemas.models.dataset import DatasetSpec, dataset_identity, dataset_spec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.store import MotionSpec, StoreMetadata

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest, how, and to where.

    Attributes:
        dataset: the name of a registered dataset.
        raw: folders and zip archives.
        out: the store.
        exclude: a list of clip ids to leave out, such as the dataset's missing-skeleton list.
        append: extend the finished store at `out`.
        compression: of a new store's rows; changes no value and no hash.
        layout: describes own recordings; None for datasets with a format of their own.
    """

    dataset: str
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
    def reader(self) -> DatasetReader:
        """The dataset's reader."""
        return find_reader(self.dataset, self.layout)

    @property
    def identity(self) -> str:
        """How hashes name the dataset."""
        return dataset_identity(self.dataset, self.layout)


@dataclass(frozen=True)
class RawInput:
    """The sources of an ingest, sorted by id, and the files that are none of them.

    Attributes:
        sources: the raw files to read.
        excluded: how many files its list leaves out.
        found: all that its folders, archives and files hold.
    """

    sources: list[RawSource]
    excluded: int
    found: FoundSources


def find_raw_input(request: IngestRequest) -> RawInput:
    """List the raw files of the request's dataset, without those its exclude list names.

    Raises:
        RawInputError: nothing to ingest was found, or a clip was found twice.
    """
    # Absolute, since workers elsewhere have a working directory of their own.
    reader, title = request.reader, request.spec.title
    listing = find_sources([path.absolute() for path in request.raw], reader)
    names = read_exclude_list(request.exclude, reader) if request.exclude else frozenset()
    kept = [source for source in listing.sources if source.id not in names]
    excluded = len(listing.sources) - len(kept)
    count = len(listing.sources)
    logger.info(f"found {count:,} raw {'file' if count == 1 else 'files'} of {title}")
    for line in reader.notes(kept):
        logger.info(line)
    if request.exclude:
        logger.info(f"{excluded:,} files left out by {request.exclude.name}")
    if not kept:
        raise RawInputError(
            f"none of the {len(listing.sources) + listing.foreign:,} raw files is left to ingest as {title}",
            remedy="Check the dataset's name, --raw and --exclude.",
        )
    return RawInput(kept, excluded, listing)


_IDENTITY_CHARS = 19
"""Characters of an identity that messages show: for own recordings `custom` and 12 digits of the layout's digest."""


def open_existing_store(request: IngestRequest) -> Store | None:
    """Open the finished store at the output; None if there is none, or one without a clip, which is replaced.

    Raises:
        StoreError: it cannot be read, or `append` is set and there is no finished store.
        StoreExistsError: `append` is set and the store holds no clip.
    """
    if not request.append and not is_complete(request.out):
        return None
    store = open_store(request.out)
    if request.append and not store.ids:
        raise StoreExistsError(
            f"{request.out}: the store holds no clip, so it cannot be extended",
            remedy="Run the same command without --append: it replaces the empty store.",
        )
    return store if store.ids else None


def already_complete(request: IngestRequest, raw_input: RawInput, existing: Store) -> StoreMetadata | None:
    """Return the metadata of a finished store that already holds the request's input; None if it is to be extended.

    Raises:
        StoreExistsError: it holds other input, and cannot be extended or the request does not ask for it.
    """
    metadata = existing.metadata
    same_kind = (metadata.dataset_identity(), metadata.policy, metadata.motion) == (
        request.identity,
        request.policy,
        request.motion,
    )
    held = metadata.contains_source(fingerprint(raw_input.sources))
    if same_kind and held:
        return metadata
    if not request.append:
        raise _other_input_error(request) if same_kind else _other_kind_error(request)
    if not same_kind:
        raise StoreExistsError(
            f"{request.out} holds {metadata.dataset_identity()[:_IDENTITY_CHARS]} by policy {metadata.policy.name} "
            f"({metadata.policy_hash[:12]}), motion {metadata.motion}; "
            f"asked for is {request.identity[:_IDENTITY_CHARS]} by "
            f"policy {request.policy.name} ({request.policy.digest()[:12]}), motion {request.motion}",
            remedy="Only the same dataset or layout, policy and motion settings can be appended: choose another --out.",
        )
    _reject_present_clips(request, raw_input, existing)
    return None


def remove_leftovers(request: IngestRequest, plan_digest: str) -> None:
    """Remove the staging folder that a process left which died after its last step; warn of another plan's."""
    staging = staging_path(request.out)
    if exists(staging):
        with lock_output(request.out):
            if read_owner_marker(staging) in (None, plan_digest):
                remove_staging(staging)
            else:
                logger.warning(
                    f"{staging} is what another ingest into this store left when it was interrupted: run that "
                    "command again to finish it, or remove the folder"
                )


def _reject_present_clips(request: IngestRequest, raw_input: RawInput, existing: Store) -> None:
    """Refuse to append clips that the store has; a file that gave no clip may be appended once it is repaired."""
    ids = set(map(request.reader.source_id, existing.ids))
    present = [source for source in raw_input.sources if source.id in ids]
    if len(present) == len(raw_input.sources):
        raise StoreExistsError(
            f"{request.out} holds all of these {len(present):,} clips, the first is {present[0].id}, but not by an "
            "ingest of just these files: they are some of an ingest's, or their content, or in a folder their time of "
            "writing, has changed",
            remedy="If nothing changed, nothing is to do; else ingest all of the raw input into a new store.",
        )
    if present:
        raise StoreExistsError(
            f"{len(present):,} of the {len(raw_input.sources):,} raw files are in {request.out} already, "
            f"the first is {present[0].id}",
            remedy="Append only new clips: --exclude takes a list of those to leave out.",
        )


def _other_input_error(request: IngestRequest) -> StoreExistsError:
    return StoreExistsError(
        f"{request.out}: a finished store of other input is there: clips, their content, or in a folder their "
        "times of writing are not those that were ingested",
        remedy="Choose another --out, remove that store, or extend it by new clips with --append.",
    )


def _other_kind_error(request: IngestRequest) -> StoreExistsError:
    return StoreExistsError(
        f"{request.out}: a finished store of another dataset, another layout or another policy is there",
        remedy="Choose another --out, or remove that store.",
    )
