"""The clip table and the metadata of a store in the making, gathered from its staged parts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.ingest.plan import add_fingerprints, fingerprint
from mamp_pipeline.ingest.request import IngestRequest, RawInput
from mamp_pipeline.ingest.staging import open_staged_part
from mamp_pipeline.store.metadata import IngestSummary, make_store_metadata
from mamp_pipeline.store.shards import first_rows, pack_ids
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Columns, Store
from mamp_schemas.models.policy import single_field_deviations
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, QuarantinedFile, StoreMetadata


@dataclass(frozen=True)
class ClipTable:
    """All clips of all pieces, in order.

    Attributes:
        ids: clip ids.
        columns: every clip column of the store.
        existing_clips: how many of the clips the store has already.
        part_rows: (pieces + 1,) the first row of each piece in the store, and the total.
        quarantined: files left out of the pieces.
        counts: the pieces' tallies, summed.
    """

    ids: list[str]
    columns: Columns
    existing_clips: int
    part_rows: NDArray[np.int64]
    quarantined: tuple[QuarantinedFile, ...]
    counts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of the whole store."""
        return int(self.part_rows[-1])

    @property
    def existing_rows(self) -> int:
        """How many of the rows the store has already."""
        return int(self.part_rows[0])


def gather_table(pieces: Sequence[StoragePath], base: Store | None) -> ClipTable:
    """Read the tables of all pieces, without their rows, behind that of the store they extend."""
    read = [open_staged_part(path, rows=False) for path in pieces]
    tables: list[Columns] = [*([base.columns] if base else []), *(piece.columns for piece in read)]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name] for table in tables]) for name in read[0].columns
    }
    ids = [*(base.ids if base else []), *(name for piece in read for name in piece.ids)]
    frames, bodies = columns["frames"].astype(np.int64), columns["bodies"].astype(np.int64)
    columns["id"] = pack_ids(ids)
    columns["first_row"] = first_rows(frames, bodies)
    kept = len(base.ids) if base else 0
    places = kept + np.cumsum([0, *(len(piece.ids) for piece in read)])
    ends = np.concatenate([[0], np.cumsum(frames * bodies)])
    quarantined = tuple(entry for piece in read for entry in piece.quarantined)
    tally = sum((Counter(piece.counts) for piece in read), Counter())
    return ClipTable(ids, columns, kept, ends[places].astype(np.int64), quarantined, tally)


def build_metadata(request: IngestRequest, raw_input: RawInput, table: ClipTable, base: Store | None) -> StoreMetadata:
    """Return the metadata of the store that the table describes.

    Args:
        request: the ingest.
        raw_input: its input.
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
        touched={
            field: table.counts.get(field, 0)
            for field in single_field_deviations(request.policy, request.spec.paper_policy)
        },
        noted={note: table.counts[note] for note in NOTE_DESCRIPTIONS if table.counts.get(note)},
    )
    return make_store_metadata(
        dataset=request.dataset,
        layout=request.layout,
        policy=request.policy,
        motion=request.motion,
        ids=table.ids,
        columns=table.columns,
        summary=_add_counts(base.metadata, account, raw_input, request.reader) if base else account,
    )


def _add_counts(
    before: StoreMetadata, account: IngestSummary, raw_input: RawInput, reader: DatasetReader
) -> IngestSummary:
    """Add up two accounts; a file that was quarantined before and has now been read again is told of anew.

    It is known by the id in its name: a mended file may come in an archive, or folder, of another name.
    """
    again = {source.id for source in raw_input.sources}
    return IngestSummary(
        source=add_fingerprints(before.source, account.source),
        ingests=(*(before.ingests or (before.source,)), *account.ingests),
        excluded=before.counts.excluded + account.excluded,
        foreign=before.counts.foreign + account.foreign,
        quarantined=(
            *(each for each in before.quarantined if _raw_file_id(each, reader) not in again),
            *account.quarantined,
        ),
        touched={field: before.touched.get(field, 0) + clips for field, clips in account.touched.items()},
        noted={
            note: before.noted.get(note, 0) + account.noted.get(note, 0)
            for note in NOTE_DESCRIPTIONS
            if note in before.noted or note in account.noted
        },
    )


def _raw_file_id(entry: QuarantinedFile, reader: DatasetReader) -> str | None:
    """Return the id of the raw file an entry is about; its `file` is the container's name, then the path inside."""
    info = reader.parse_path(entry.file.partition("/")[2])
    return info.id if info else None
