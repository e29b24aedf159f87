"""The clip table and the metadata of the store that an ingest makes, from its staged parts."""

from collections import Counter, defaultdict
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
from mamp_schemas.models.body_sizes import BodySizes
from mamp_schemas.models.policy import single_field_deviations
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, LeftOutFiles, QuarantinedFile, StoreMetadata


@dataclass(frozen=True)
class ClipTable:
    """All clips of the store, in order: those it has already, then those of each staged part.

    Attributes:
        ids: clip ids.
        columns: every clip column of the store.
        existing_clips: how many of the clips the store has already.
        part_rows: (parts + 1,) the first row of each staged part in the store, and the total.
        quarantined: files that gave no clip.
        counts: the counts of the staged parts, summed.
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


def gather_table(part_paths: Sequence[StoragePath], base: Store | None) -> ClipTable:
    """Read the clip tables of staged parts, without their rows.

    Args:
        part_paths: of the staged parts, in order.
        base: the store that they extend; its clips come first.
    """
    parts = [open_staged_part(path, rows=False) for path in part_paths]
    tables: list[Columns] = [*([base.columns] if base else []), *(part.columns for part in parts)]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name] for table in tables]) for name in parts[0].columns
    }
    ids = [*(base.ids if base else []), *(name for part in parts for name in part.ids)]
    frames, bodies = columns["frames"].astype(np.int64), columns["bodies"].astype(np.int64)
    columns["id"] = pack_ids(ids)
    columns["first_row"] = first_rows(frames, bodies)
    existing = len(base.ids) if base else 0
    first_clips = existing + np.cumsum([0, *(len(part.ids) for part in parts)])
    clip_ends = np.concatenate([[0], np.cumsum(frames * bodies)])
    return ClipTable(
        ids,
        columns,
        existing_clips=existing,
        part_rows=clip_ends[first_clips].astype(np.int64),
        quarantined=tuple(entry for part in parts for entry in part.quarantined),
        counts=sum((Counter(part.counts) for part in parts), Counter()),
    )


def build_metadata(request: IngestRequest, raw_input: RawInput, table: ClipTable, base: Store | None) -> StoreMetadata:
    """Return the metadata of the store.

    Args:
        request: the ingest.
        raw_input: its input.
        table: the clips of the whole store.
        base: the store that is extended; its source, quarantine and counts are added.
    """
    source = fingerprint(raw_input.sources)
    deviations = single_field_deviations(request.policy, request.spec.paper_policy)
    summary = IngestSummary(
        source=source,
        ingests=(source,),
        excluded=raw_input.excluded,
        foreign=raw_input.found.foreign,
        other=raw_input.found.other,
        quarantined=(*raw_input.found.rejected, *table.quarantined),
        left_out=raw_input.found.left_out,
        sizes=BodySizes.from_counts(table.counts),
        policy_diff={field: table.counts.get(field, 0) for field in deviations},
        noted={note: table.counts[note] for note in NOTE_DESCRIPTIONS if table.counts.get(note)},
    )
    if base:
        summary = _add_base(summary, base.metadata, raw_input, request.reader)
    return make_store_metadata(
        dataset=request.dataset,
        layout=request.layout,
        policy=request.policy,
        motion=request.motion,
        ids=table.ids,
        columns=table.columns,
        summary=summary,
    )


def _add_base(summary: IngestSummary, base: StoreMetadata, raw_input: RawInput, reader: DatasetReader) -> IngestSummary:
    """Add the summary of the store that is extended.

    A file that was quarantined before and is read again now is listed by what it gives now. It is known by the id in
    its name, because a repaired file may come in an archive or folder of another name.
    """
    read_again = {source.id for source in raw_input.sources}
    still_quarantined = (entry for entry in base.quarantined if _file_id(entry, reader) not in read_again)
    return IngestSummary(
        source=add_fingerprints(base.source, summary.source),
        ingests=(*base.ingests, *summary.ingests),
        excluded=base.counts.excluded + summary.excluded,
        foreign=base.counts.foreign + summary.foreign,
        other=base.counts.other + summary.other,
        quarantined=(*still_quarantined, *summary.quarantined),
        left_out=_merge_left_out(base.left_out, summary.left_out),
        sizes=summary.sizes.plus(base.sizes) if summary.sizes and base.sizes else summary.sizes or base.sizes,
        policy_diff={field: base.policy_diff.get(field, 0) + clips for field, clips in summary.policy_diff.items()},
        noted={
            note: base.noted.get(note, 0) + summary.noted.get(note, 0)
            for note in NOTE_DESCRIPTIONS
            if note in base.noted or note in summary.noted
        },
    )


def _merge_left_out(first: Sequence[LeftOutFiles], second: Sequence[LeftOutFiles]) -> tuple[LeftOutFiles, ...]:
    files: dict[str, set[str]] = defaultdict(set)
    for group in (*first, *second):
        files[group.reason].update(group.files)
    return tuple(LeftOutFiles(reason=reason, files=tuple(sorted(files[reason]))) for reason in sorted(files))


def _file_id(entry: QuarantinedFile, reader: DatasetReader) -> str | None:
    """Return the id in a quarantined file's name; `entry.file` is the container's name, then the path inside."""
    info = reader.parse_path(entry.file.partition("/")[2])
    return info.id if info else None
