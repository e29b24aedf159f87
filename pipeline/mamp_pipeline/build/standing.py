"""What stands at the output before an ingest: nothing, its own finished work, or a store to extend."""

from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.plan import fingerprint
from mamp_pipeline.build.request import RawInput, IngestRequest
from mamp_pipeline.build.staging import remove_staging, read_owner_marker, staging_path
from mamp_pipeline.places import exists
from mamp_pipeline.raw.formats import raw_format
from mamp_pipeline.store.read import Store, is_complete, open_store
from mamp_schemas.errors import StoreExistsError
from mamp_schemas.progress import Progress
from mamp_schemas.store import StoreMetadata

_IDENTITY_CHARS = 19
"""Characters of an identity that messages show: of own recordings `custom` and 12 digits of their layout's digest."""


def open_existing_store(request: IngestRequest) -> Store | None:
    """Open the finished store at the output, if there is one; a store without a clip gives way to another.

    Raises:
        StoreError: it cannot be read; or it is to be extended and is not there, or not finished.
        StoreExistsError: it is to be extended and holds no clip.
    """
    if not request.append and not is_complete(request.out):
        return None
    standing = open_store(request.out)
    if request.append and not standing.ids:
        raise StoreExistsError(
            f"{request.out}: a store without a clip, to which nothing is to be appended",
            remedy="Run the same command without --append: the empty store gives way.",
        )
    return standing if standing.ids else None


def already_complete(request: IngestRequest, raw_input: RawInput, existing: Store) -> StoreMetadata | None:
    """Return the metadata of a finished store that holds the request's input already; None if it is to be extended.

    Raises:
        StoreExistsError: it does not hold that input, and extending it is not asked for or not possible.
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
            f"({metadata.policy_hash[:12]}), motion {metadata.motion}; asked for is {request.identity[:_IDENTITY_CHARS]} by "
            f"policy {request.policy.name} ({request.policy.digest()[:12]}), motion {request.motion}",
            remedy="Only the same dataset or layout, policy and motion settings can be appended: choose another --out.",
        )
    _reject_present_clips(request, raw_input, existing)
    return None


def remove_leftovers(request: IngestRequest, plan: str, progress: Progress) -> None:
    """Remove what a process that died after the last step left of this plan's staging; tell of another plan's."""
    staging = staging_path(request.out)
    if exists(staging):
        with lock_output(request.out):
            if read_owner_marker(staging) in (None, plan):
                remove_staging(staging)
            else:
                progress.message(
                    f"warning: {staging} is what another ingest into this store left when it was interrupted: run that "
                    "command again to finish it, or remove the folder"
                )


def _reject_present_clips(request: IngestRequest, raw_input: RawInput, existing: Store) -> None:
    """Refuse to append clips that the store has; a file that gave none may be appended when it is mended."""
    ids = set(map(raw_format(request.dataset, request.layout).source_id, existing.ids))
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
        f"{request.out}: a finished store of other input stands there: clips, their content, or in a folder their "
        "times of writing are not those that were ingested",
        remedy="Choose another --out, remove that store, or extend it by new clips with --append.",
    )


def _other_kind_error(request: IngestRequest) -> StoreExistsError:
    return StoreExistsError(
        f"{request.out}: a finished store of another dataset, another layout or another policy stands there",
        remedy="Choose another --out, or remove that store.",
    )
