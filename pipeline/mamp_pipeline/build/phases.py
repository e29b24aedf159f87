"""The two long phases of an ingest, parsing and packing: what is left to do of each, handed to an engine."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence

from mamp_pipeline.build.engine import Engine
from mamp_pipeline.build.plan import Part
from mamp_pipeline.build.request import IngestRequest
from mamp_pipeline.build.staging import staged_part_path, shard_manifest_path
from mamp_pipeline.build.table import ClipTable
from mamp_pipeline.build.tasks import PackJob, ParseJob, pack_shard, parse_part
from mamp_pipeline.places import list_file_sizes, read_bytes
from mamp_pipeline.store.layout import SHARD_ROWS, RowRange, plan_shards
from mamp_pipeline.store.piece_file import read_job_digest
from mamp_schemas.places import StoragePath
from mamp_schemas.progress import Progress


class _Throughput:
    """Megabytes a second since it was made."""

    def __init__(self) -> None:
        self._started, self._bytes = time.monotonic(), 0

    def add(self, size: int) -> float:
        """Count some bytes; return the rate of all so far."""
        self._bytes += size
        return round(self._bytes / 1e6 / max(time.monotonic() - self._started, 1e-9), 1)


def parse_parts(
    request: IngestRequest, parts: Sequence[Part], staging: StoragePath, plan: str, engine: Engine, progress: Progress
) -> None:
    """Parse every part that has no piece of its present files yet."""
    jobs = [
        ParseJob(
            part,
            request.dataset,
            request.policy,
            request.motion,
            plan,
            staged_part_path(staging, part.number),
            request.layout,
        )
        for part in parts
    ]
    there = list_file_sizes(staging)
    left = [job for job in jobs if job.target.name not in there or not _is_parsed(job, progress)]
    if len(left) < len(jobs):
        progress.message(f"{len(jobs) - len(left):,} of {len(jobs):,} parts are parsed already")
    progress.start("parse", sum(len(job.part.sources) for job in left), "files")
    rate = _Throughput()
    for job, _ in engine.run(parse_part, left):
        size = sum(source.size for source in job.part.sources)
        progress.advance(len(job.part.sources), mb_per_s=rate.add(size))


def pack_shards(
    request: IngestRequest, table: ClipTable, staging: StoragePath, plan: str, table_digest: str, engine: Engine, progress: Progress
) -> None:
    """Write every shard that has no receipt for the present table yet.

    Args:
        request: the ingest.
        table: of the whole store.
        staging: its staging folder, with a piece for each of the table's.
        plan: the staging folder's mark.
        state: digest of the table.
        engine: does the work.
        progress: told of it.
    """
    pieces = [staged_part_path(staging, number) for number in range(len(table.part_rows) - 1)]
    jobs = [
        PackJob(
            request.out.absolute(),
            rows,
            tuple(_overlapping_parts(table, pieces, rows)),
            table.existing_rows,
            request.motion,
            plan,
            shard_manifest_path(staging, rows.start // SHARD_ROWS),
            table_digest,
        )
        for rows in plan_shards(table.rows)
        if rows.stop > table.existing_rows
    ]
    there = list_file_sizes(staging)
    sizes = list_file_sizes(request.out) if any(job.shard_manifest.name in there for job in jobs) else {}
    left = [job for job in jobs if job.shard_manifest.name not in there or not _is_packed(job, sizes)]
    progress.start("pack", sum(job.rows.stop - job.rows.start for job in left), "rows")
    for job, _ in engine.run(pack_shard, left):
        progress.advance(job.rows.stop - job.rows.start)


def _is_parsed(job: ParseJob, progress: Progress) -> bool:
    found = read_job_digest(job.target)
    if found is None:
        progress.message(f"warning: {job.target.name} is damaged: its part is parsed again")
    elif found != job.digest():
        progress.message(f"{job.target.name} is of files that changed since: its part is parsed again")
    return found == job.digest()


def _is_packed(job: PackJob, sizes: Mapping[str, int]) -> bool:
    try:
        receipt = json.loads(read_bytes(job.shard_manifest))
    except (FileNotFoundError, ValueError):
        return False
    return bool(receipt == {"state": job.table_digest, "files": {key: sizes.get(key) for key in receipt["files"]}})


def _overlapping_parts(table: ClipTable, pieces: Sequence[StoragePath], rows: RowRange) -> Iterator[tuple[StoragePath, int]]:
    """Yield the pieces that hold rows of a shard, and the first row of each; a piece can hold none at all."""
    starts, stops = table.part_rows[:-1], table.part_rows[1:]
    first, last = stops.searchsorted(rows.start, side="right"), starts.searchsorted(rows.stop, side="left")
    for index in range(int(first), int(last)):
        if stops[index] > starts[index]:
            yield pieces[index], int(starts[index])
