"""The metadata of an ingest's store: what its pieces tell, added to that of the store it extends."""

from mamp_pipeline.build.plan import add_fingerprints, fingerprint
from mamp_pipeline.build.request import RawInput, IngestRequest
from mamp_pipeline.build.table import ClipTable
from mamp_pipeline.raw.formats import RawFormat, raw_format
from mamp_pipeline.store.describe import IngestSummary, make_store_metadata
from mamp_pipeline.store.read import Store
from mamp_schemas.policy import single_field_deviations
from mamp_schemas.store import NOTE_DESCRIPTIONS, QuarantinedFile, StoreMetadata


def build_metadata(request: IngestRequest, raw_input: RawInput, table: ClipTable, base: Store | None) -> StoreMetadata:
    """Return the metadata of the store that the table describes.

    Args:
        request: the ingest.
        found: its input.
        table: of the whole store.
        base: the store it extends, whose source, quarantine and counts are added.
    """
    source = fingerprint(raw_input.sources)
    account = IngestSummary(
        source=source,
        ingests=(source,),
        excluded=raw_input.excluded,
        foreign=raw_input.foreign,
        quarantined=table.quarantined,
        touched={field: table.counts.get(field, 0) for field in single_field_deviations(request.policy, request.dataset)},
        noted={note: table.counts[note] for note in NOTE_DESCRIPTIONS if table.counts.get(note)},
    )
    return make_store_metadata(
        dataset=request.dataset,
        layout=request.layout,
        policy=request.policy,
        motion=request.motion,
        ids=table.ids,
        columns=table.columns,
        summary=_add_counts(base.metadata, account, raw_input, raw_format(request.dataset, request.layout)) if base else account,
    )


def _add_counts(before: StoreMetadata, account: IngestSummary, raw_input: RawInput, form: RawFormat) -> IngestSummary:
    """Add up two accounts; a file that was quarantined before and has now been read again is told of anew.

    It is known by the id in its name: a mended file may come in an archive, or folder, of another name.
    """
    again = {source.id for source in raw_input.sources}
    return IngestSummary(
        source=add_fingerprints(before.source, account.source),
        ingests=(*(before.ingests or (before.source,)), *account.ingests),
        excluded=before.counts.excluded + account.excluded,
        foreign=before.counts.foreign + account.foreign,
        quarantined=(*(each for each in before.quarantined if _raw_file_id(each, form) not in again), *account.quarantined),
        touched={field: before.touched.get(field, 0) + clips for field, clips in account.touched.items()},
        noted={
            note: before.noted.get(note, 0) + account.noted.get(note, 0)
            for note in NOTE_DESCRIPTIONS
            if note in before.noted or note in account.noted
        },
    )


def _raw_file_id(entry: QuarantinedFile, form: RawFormat) -> str | None:
    """Return the id of the raw file an entry is about; its `file` is the container's name, then the path inside."""
    info = form.parse_path(entry.file.partition("/")[2])
    return info.id if info else None
