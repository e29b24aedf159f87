"""Runs an ingest from raw files to a finished store: plan, parse, pack, finish. Resumes after any interruption."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mamp_pipeline.cleaning.plausibility import PREFIX
from mamp_pipeline.ingest.engines.base import Engine, Workers
from mamp_pipeline.ingest.engines.select import open_engine
from mamp_pipeline.ingest.engines.worker_check import choose_probe
from mamp_pipeline.ingest.metadata import ClipTable, build_metadata, gather_table
from mamp_pipeline.ingest.plan import Part, digest_plan, plan_parts
from mamp_pipeline.ingest.request import (
    IngestRequest,
    RawInput,
    already_complete,
    find_raw_input,
    open_existing_store,
    remove_leftovers,
)
from mamp_pipeline.ingest.staging import (
    OWNER_MARKER,
    ShardManifest,
    open_staging,
    read_owner_marker,
    read_shard_manifest,
    remove_staging,
    shard_manifest_path,
    staged_part_path,
    staging_path,
)
from mamp_pipeline.ingest.tasks import PackJob, ParseJob, pack_shard, parse_part
from mamp_pipeline.store.shards import SHARD_ROWS, RowRange, plan_shards
from mamp_pipeline.store.staged_part import read_job_digest
from mamp_pipeline.store.writer import (
    WrittenShard,
    create_arrays,
    extend_arrays,
    holds_shard,
    store_compression,
    write_metadata,
)
from mamp_schemas.errors import ClusterError, RawInputError
from mamp_schemas.io.atomic import output_errors, write_atomic
from mamp_schemas.io.locks import lock_output
from mamp_schemas.io.storage import is_file, list_file_sizes, read_bytes
from mamp_schemas.io.storage_path import StoragePath, is_remote
from mamp_schemas.io.store_reader import Store, is_complete
from mamp_schemas.io.store_root import NODE_METADATA
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, ROW_ARRAYS, WARNED_NOTES, StoreMetadata
from mamp_schemas.progress import Progress

logger = logging.getLogger(__name__)


class _Throughput:
    """Measures megabytes a second."""

    def __init__(self) -> None:
        self._started, self._bytes = time.monotonic(), 0

    def add(self, size: int) -> float:
        """Count bytes; return the rate since the beginning."""
        self._bytes += size
        return round(self._bytes / 1e6 / max(time.monotonic() - self._started, 1e-9), 1)


def parse_parts(
    request: IngestRequest,
    parts: Sequence[Part],
    staging: StoragePath,
    plan_digest: str,
    engine: Engine,
    progress: Progress,
) -> None:
    """Parse each part that is not staged yet, or whose files or options have changed."""
    jobs = [
        ParseJob(
            part,
            request.dataset,
            request.policy,
            request.motion,
            plan_digest,
            staged_part_path(staging, part.number),
            request.layout,
        )
        for part in parts
    ]
    staged = list_file_sizes(staging)
    remaining = [job for job in jobs if job.target.name not in staged or not _is_parsed(job)]
    if len(remaining) < len(jobs):
        logger.info(f"{len(jobs) - len(remaining):,} of {len(jobs):,} parts are parsed already")
    progress.start("parse", sum(len(job.part.sources) for job in remaining), "files")
    rate = _Throughput()
    for job, _ in engine.run(parse_part, remaining):
        size = sum(source.size for source in job.part.sources)
        progress.advance(len(job.part.sources), mb_per_s=rate.add(size))


def pack_shards(
    request: IngestRequest,
    table: ClipTable,
    staging: StoragePath,
    plan_digest: str,
    table_digest: str,
    engine: Engine,
    progress: Progress,
) -> list[WrittenShard]:
    """Write each shard that is not packed yet from this clip table.

    Args:
        request: the ingest.
        table: the clips of the whole store.
        staging: its staging folder, with all staged parts.
        plan_digest: digest of the plan that the staging folder belongs to.
        table_digest: digest of the table.
        engine: runs the tasks.
        progress: counts rows.

    Returns:
        All shards written from this table, in their order.
    """
    parts = [staged_part_path(staging, number) for number in range(len(table.part_rows) - 1)]
    jobs = [
        PackJob(
            request.out.absolute(),
            rows,
            tuple(_overlapping_parts(table, parts, rows)),
            table.existing_rows,
            request.motion,
            plan_digest,
            shard_manifest_path(staging, rows.start // SHARD_ROWS),
            table_digest,
        )
        for rows in plan_shards(table.rows)
        if rows.stop > table.existing_rows
    ]
    staged = list_file_sizes(staging)
    sizes = list_file_sizes(request.out) if any(job.shard_manifest.name in staged for job in jobs) else {}
    packed = {name: _packed(job, sizes) for job in jobs if (name := job.shard_manifest.name) in staged}
    shards = {name: manifest.shard for name, manifest in packed.items() if manifest}
    remaining = [job for job in jobs if job.shard_manifest.name not in shards]
    progress.start("pack", sum(job.rows.stop - job.rows.start for job in remaining), "rows")
    for job, manifest in engine.run(pack_shard, remaining):
        shards[job.shard_manifest.name] = manifest.shard
        progress.advance(job.rows.stop - job.rows.start)
    return [shards[job.shard_manifest.name] for job in jobs]


def _is_parsed(job: ParseJob) -> bool:
    digest, expected = read_job_digest(job.target), job.digest()
    if digest is None:
        logger.warning(f"{job.target.name} is damaged: its part is parsed again")
    elif digest != expected:
        logger.info(f"{job.target.name} was made from other files or options: its part is parsed again")
    return digest == expected


def _packed(job: PackJob, sizes: Mapping[str, int]) -> ShardManifest | None:
    """Return the manifest of a shard that is written whole from the job's table; None if it is not.

    Rows on disk are read again: after a power failure a file may have its size and not its content. An object in a
    bucket is whole or absent.
    """
    manifest = read_shard_manifest(job.shard_manifest)
    if manifest is None or manifest.table_digest != job.table_digest:
        return None
    if any(sizes.get(key) != size for key, size in manifest.shard.files.items()):
        return None
    return manifest if is_remote(job.store) or holds_shard(job.store, job.rows, manifest.shard) else None


def _row_checksums(written: Sequence[WrittenShard], base: Store | None) -> dict[str, str]:
    """Return the checksums of all rows: those of the base's whole shards stay."""
    return {
        name: (base.whole_shard_checksums(name) if base else "") + "".join(shard.checksums[name] for shard in written)
        for name in ROW_ARRAYS
    }


def _overlapping_parts(
    table: ClipTable, parts: Sequence[StoragePath], rows: RowRange
) -> Iterator[tuple[StoragePath, int]]:
    """Yield the staged parts that hold rows of a shard, and the first row of each; a part may hold no rows."""
    starts, stops = table.part_rows[:-1], table.part_rows[1:]
    first, last = stops.searchsorted(rows.start, side="right"), starts.searchsorted(rows.stop, side="left")
    for index in range(int(first), int(last)):
        if stops[index] > starts[index]:
            yield parts[index], int(starts[index])


def ingest(request: IngestRequest, progress: Progress, workers: Workers | None = None) -> StoreMetadata:
    """Make a store from raw files, or extend one. Called again after an interruption, it continues where it stopped.

    Args:
        request: what to ingest, and how.
        progress: counts files and rows.
        workers: where the tasks run; by default in this process.

    Raises:
        RawInputError: nothing to ingest was found, a clip was found twice, or most recordings cannot be as their
            layout describes them.
        StoreExistsError: there is another store or something else at the output, or this input cannot extend it.
        ClusterError: the workers cannot be used, or were lost.
        OutputError: the disk is full or the folder cannot be written.
    """
    request = replace(request, out=request.out.resolve())
    existing = open_existing_store(request)
    raw_input = find_raw_input(request)
    plan_digest = digest_plan(request.identity, request.policy, request.motion, raw_input.sources)
    with output_errors(request.out):
        done = already_complete(request, raw_input, existing) if existing else None
        if done:
            remove_leftovers(request, plan_digest)
            logger.info(f"{request.out} is complete and holds this input: nothing to do")
            return done
        with lock_output(request.out):
            return _ingest_locked(request, raw_input, plan_digest, workers or Workers(), progress)


def _ingest_locked(
    request: IngestRequest, raw_input: RawInput, plan_digest: str, workers: Workers, progress: Progress
) -> StoreMetadata:
    # Again, now that no other ingest can write there: one may have ended in the meantime.
    base = open_existing_store(request)
    done = already_complete(request, raw_input, base) if base else None
    if done:
        return done
    resumed = read_owner_marker(staging_path(request.out)) == plan_digest
    staging = open_staging(request.out, plan_digest, replacing=base is not None or is_complete(request.out))
    parts = list(plan_parts(raw_input.sources))
    probe = choose_probe(staging, raw_input.sources)
    with _remove_unused_staging(staging, resumed), open_engine(workers, len(parts), probe) as engine:
        parse_parts(request, parts, staging, plan_digest, engine, progress)
        table = gather_table([staged_part_path(staging, part.number) for part in parts], base)
        _reject_implausible(request, table, staging)
        metadata = build_metadata(request, raw_input, table, base)
        compression = store_compression(base) if base else request.compression
        table_digest = f"{metadata.content_hash} {table.existing_rows} {SHARD_ROWS} {compression}"
        _prepare_arrays(request, table, base, staging, table_digest)
        written = pack_shards(request, table, staging, plan_digest, table_digest, engine, progress)
        write_metadata(request.out, metadata, table.columns, _row_checksums(written, base), compression)
        remove_staging(staging)
    log_sizes(metadata)
    return metadata


def log_sizes(metadata: StoreMetadata) -> None:
    """Log once what the bodies of a new store measure, what is unusual about it, and what was left of its files."""
    logger.info(f"bodies: {metadata.describe_sizes()}")
    for warning in metadata.warnings():
        logger.warning(warning)
    for note in WARNED_NOTES:
        if note in metadata.noted:
            logger.warning(f"{metadata.noted[note]:,} {NOTE_DESCRIPTIONS[note]}")


def _reject_implausible(request: IngestRequest, table: ClipTable, staging: StoragePath) -> None:
    """Refuse the whole input where most of it cannot be persons: not the files are wrong then, but the layout.

    Raises:
        RawInputError: more than half of the files are implausible.
    """
    implausible = [entry for entry in table.quarantined if entry.reason.startswith(PREFIX)]
    files = len(table.ids) - table.existing_clips + len(table.quarantined)
    if request.layout is None or 2 * len(implausible) <= files:
        return
    remove_staging(staging)
    raise RawInputError(
        f"{len(implausible):,} of {files:,} recordings cannot be as layout '{request.layout.name}' describes them; "
        f"the first is {implausible[0].file}: {implausible[0].reason.removeprefix(PREFIX)}",
        remedy="Correct the layout (docs/own-data.md, Units and plausibility), and run the same command again.",
    )


@contextmanager
def _remove_unused_staging(staging: StoragePath, resumed: bool) -> Iterator[None]:
    """Remove the staging folder if no cluster could be used and nothing was staged."""
    try:
        yield
    except ClusterError:
        if not resumed and not list_file_sizes(staging).keys() - {OWNER_MARKER}:
            remove_staging(staging)
        raise


def _prepare_arrays(
    request: IngestRequest, table: ClipTable, base: Store | None, staging: StoragePath, table_digest: str
) -> None:
    """Create or extend the arrays of a table; those of an interrupted ingest keep the shards that they hold."""
    marker = staging / "arrays"
    if base:
        extend_arrays(base, table.rows, table.columns)
    else:
        begun = is_file(marker) and read_bytes(marker) == table_digest.encode() and is_file(request.out / NODE_METADATA)
        create_arrays(request.out, table.rows, request.spec.skeleton, table.columns, request.compression, begun)
    write_atomic(marker, table_digest.encode())
