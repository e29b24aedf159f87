"""The metadata of an ingest's store: what its pieces tell, added to that of the store it extends."""

from mamp_pipeline.build.plan import add_fingerprints, fingerprint
from mamp_pipeline.build.request import Found, Ingest
from mamp_pipeline.build.table import Table
from mamp_pipeline.store.describe import Account, describe_store
from mamp_pipeline.store.read import Store
from mamp_schemas.policy import deviations
from mamp_schemas.store import NOTES, StoreMetadata


def describe(request: Ingest, found: Found, table: Table, base: Store | None) -> StoreMetadata:
    """Return the metadata of the store that the table describes.

    Args:
        request: the ingest.
        found: its input.
        table: of the whole store.
        base: the store it extends, whose source, quarantine and counts are added.
    """
    source = fingerprint(found.sources)
    account = Account(
        source=source,
        ingests=(source,),
        excluded=found.excluded,
        foreign=found.foreign,
        quarantined=table.quarantined,
        touched={field: table.tally.get(field, 0) for field in deviations(request.policy, request.dataset)},
        noted={note: table.tally[note] for note in NOTES if table.tally.get(note)},
    )
    return describe_store(
        dataset=request.dataset,
        layout=request.layout,
        policy=request.policy,
        motion=request.motion,
        ids=table.ids,
        columns=table.columns,
        account=_add(base.metadata, account, found) if base else account,
    )


def _add(before: StoreMetadata, account: Account, found: Found) -> Account:
    """Add up two accounts; a file that was quarantined before and has now been read again is told of anew."""
    again = {file.trace for source in found.sources for file in source.files}
    return Account(
        source=add_fingerprints(before.source, account.source),
        ingests=(*(before.ingests or (before.source,)), *account.ingests),
        excluded=before.counts.excluded + account.excluded,
        foreign=before.counts.foreign + account.foreign,
        quarantined=(*(each for each in before.quarantined if each.file not in again), *account.quarantined),
        touched={field: before.touched.get(field, 0) + clips for field, clips in account.touched.items()},
        noted={
            note: before.noted.get(note, 0) + account.noted.get(note, 0)
            for note in NOTES
            if note in before.noted or note in account.noted
        },
    )
