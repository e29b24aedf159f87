"""The metadata of an ingest's store: what its pieces tell, added to that of the store it extends."""

from mamp_pipeline.build.plan import add_fingerprints, fingerprint
from mamp_pipeline.build.request import Found, Ingest
from mamp_pipeline.build.table import Table
from mamp_pipeline.raw.formats import RawFormat, raw_format
from mamp_pipeline.store.describe import Account, describe_store
from mamp_pipeline.store.read import Store
from mamp_schemas.policy import deviations
from mamp_schemas.store import NOTES, Quarantined, StoreMetadata


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
        account=_add(base.metadata, account, found, raw_format(request.dataset, request.layout)) if base else account,
    )


def _add(before: StoreMetadata, account: Account, found: Found, form: RawFormat) -> Account:
    """Add up two accounts; a file that was quarantined before and has now been read again is told of anew.

    It is known by the id in its name: a mended file may come in an archive, or folder, of another name.
    """
    again = {source.id for source in found.sources}
    return Account(
        source=add_fingerprints(before.source, account.source),
        ingests=(*(before.ingests or (before.source,)), *account.ingests),
        excluded=before.counts.excluded + account.excluded,
        foreign=before.counts.foreign + account.foreign,
        quarantined=(*(each for each in before.quarantined if _id(each, form) not in again), *account.quarantined),
        touched={field: before.touched.get(field, 0) + clips for field, clips in account.touched.items()},
        noted={
            note: before.noted.get(note, 0) + account.noted.get(note, 0)
            for note in NOTES
            if note in before.noted or note in account.noted
        },
    )


def _id(entry: Quarantined, form: RawFormat) -> str | None:
    """Return the id of the raw file an entry is about; its `file` is the container's name, then the path inside."""
    info = form.info(entry.file.partition("/")[2])
    return info.id if info else None
