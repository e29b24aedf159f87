"""What stands at the output before an ingest: nothing, its own finished work, or a store to extend."""

from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.plan import fingerprint
from mamp_pipeline.build.request import Found, Ingest
from mamp_pipeline.build.staging import discard, read_mark, staging_of
from mamp_pipeline.places import exists
from mamp_pipeline.raw.formats import raw_format
from mamp_pipeline.store.read import Store, is_complete, open_store
from mamp_schemas.errors import StoreExistsError
from mamp_schemas.store import StoreMetadata

_SHOWN = 19
"""Characters of an identity that messages show: of own recordings `custom` and 12 digits of their layout's digest."""


def open_standing(request: Ingest) -> Store | None:
    """Open the finished store at the output, if there is one.

    Raises:
        StoreError: it cannot be read; or it is to be extended and is not there, or not finished.
    """
    if request.append or is_complete(request.out):
        return open_store(request.out)
    return None


def find_done(request: Ingest, found: Found, standing: Store) -> StoreMetadata | None:
    """Return the metadata of a finished store that holds the request's input already; None if it is to be extended.

    Raises:
        StoreExistsError: it does not hold that input, and extending it is not asked for or not possible.
    """
    metadata = standing.metadata
    same_kind = (metadata.identity(), metadata.policy, metadata.motion) == (
        request.identity,
        request.policy,
        request.motion,
    )
    if not request.append:
        if not same_kind or metadata.source != fingerprint(found.sources):
            raise _other(request)
        return metadata
    if not same_kind:
        raise StoreExistsError(
            f"{request.out} holds {metadata.identity()[:_SHOWN]} by policy {metadata.policy.name} "
            f"({metadata.policy_hash[:12]}), motion {metadata.motion}; asked for is {request.identity[:_SHOWN]} by "
            f"policy {request.policy.name} ({request.policy.digest()[:12]}), motion {request.motion}",
            remedy="Only the same dataset or layout, policy and motion settings can be appended: choose another --out.",
        )
    return None if _is_new(request, found, standing) else metadata


def remove_leftovers(request: Ingest, plan: str) -> None:
    """Remove what a process that died after the last step left of this plan's staging."""
    staging = staging_of(request.out)
    if exists(staging):
        with lock_output(request.out):
            if read_mark(staging) in (None, plan):
                discard(staging)


def _is_new(request: Ingest, found: Found, standing: Store) -> bool:
    left_out = {entry.file for entry in standing.metadata.quarantined}
    ids = set(map(raw_format(request.dataset, request.layout).source_id, standing.ids))
    present = [
        source for source in found.sources if source.id in ids or any(file.trace in left_out for file in source.files)
    ]
    if present and len(present) < len(found.sources):
        raise StoreExistsError(
            f"{len(present):,} of the {len(found.sources):,} raw files are in {request.out} already, "
            f"the first is {present[0].id}",
            remedy="Append only new clips: --exclude takes a list of those to leave out.",
        )
    return not present


def _other(request: Ingest) -> StoreExistsError:
    return StoreExistsError(
        f"{request.out}: a finished store of other input, another layout or another policy stands there",
        remedy="Choose another --out, remove that store, or extend it by these raw files with --append.",
    )
