"""An ingest from raw files to a finished store: plan, parse, pack, finish."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mamp_pipeline.build.engine import Workers, open_engine
from mamp_pipeline.build.finish import build_metadata
from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.phases import pack_shards, parse_parts
from mamp_pipeline.build.plan import plan_hash, plan_parts
from mamp_pipeline.build.request import RawInput, IngestRequest, find_raw_input
from mamp_pipeline.build.sight import choose_probe
from mamp_pipeline.build.staging import OWNER_MARKER, acquire, remove_staging, staged_part_path, read_owner_marker, staging_path
from mamp_pipeline.build.standing import already_complete, open_existing_store, remove_leftovers
from mamp_pipeline.build.table import ClipTable, gather_table
from mamp_pipeline.places import is_file, list_file_sizes, read_bytes
from mamp_pipeline.store.files import write_atomic
from mamp_pipeline.store.layout import SHARD_ROWS
from mamp_pipeline.store.read import is_complete
from mamp_pipeline.store.write import create_arrays, extend_arrays, write_metadata
from mamp_schemas.errors import ClusterError
from mamp_schemas.output import output_errors
from mamp_schemas.places import StoragePath
from mamp_schemas.progress import Progress
from mamp_schemas.store import StoreMetadata

__all__ = ["IngestRequest", "ingest"]


def ingest(request: IngestRequest, progress: Progress, workers: Workers | None = None) -> StoreMetadata:
    """Make a store from raw files, or extend one; run again after any interruption, it goes on where it stopped.

    Args:
        request: what to do.
        progress: told of it.
        workers: where the work runs; by default in this process.

    Raises:
        RawInputError: nothing to ingest was found, or a clip was found twice.
        StoreExistsError: another store, or something else, stands at the output, or it cannot be extended by this.
        ClusterError: the workers cannot be used, or were lost.
        OutputError: the disk is full or the folder cannot be written.
    """
    request = replace(request, out=request.out.resolve())
    standing = open_existing_store(request)
    found = find_raw_input(request, progress)
    plan = plan_hash(request.identity, request.policy, request.motion, found.sources)
    with output_errors(request.out):
        done = already_complete(request, found, standing) if standing else None
        if done:
            remove_leftovers(request, plan, progress)
            progress.message(f"{request.out} is complete and holds this input: nothing to do")
            return done
        with lock_output(request.out):
            return _ingest_locked(request, found, plan, workers or Workers(), progress)


def _ingest_locked(request: IngestRequest, raw_input: RawInput, plan: str, workers: Workers, progress: Progress) -> StoreMetadata:
    # Again, now that nobody else can write there: another ingest may have ended since.
    base = open_existing_store(request)
    done = already_complete(request, raw_input, base) if base else None
    if done:
        return done
    begun = read_owner_marker(staging_path(request.out)) == plan
    staging = acquire(request.out, plan, replacing=base is not None or is_complete(request.out))
    parts = list(plan_parts(raw_input.sources))
    sight = choose_probe(staging, raw_input.sources)
    with _release_without_engine(staging, begun), open_engine(workers, len(parts), sight, progress) as engine:
        parse_parts(request, parts, staging, plan, engine, progress)
        table = gather_table([staged_part_path(staging, part.number) for part in parts], base)
        metadata = build_metadata(request, raw_input, table, base)
        state = f"{metadata.content_hash} {table.existing_rows} {SHARD_ROWS} {request.compression}"
        _prepare_arrays(request, table, staging, state)
        pack_shards(request, table, staging, plan, state, engine, progress)
        write_metadata(request.out, metadata)
        remove_staging(staging)
    return metadata


@contextmanager
def _release_without_engine(staging: StoragePath, begun: bool) -> Iterator[None]:
    """Leave no staging folder behind when the work has not begun: there was no cluster for it."""
    try:
        yield
    except ClusterError:
        if not begun and not list_file_sizes(staging).keys() - {OWNER_MARKER}:
            remove_staging(staging)
        raise


def _prepare_arrays(request: IngestRequest, table: ClipTable, staging: StoragePath, table_digest: str) -> None:
    """Create or extend the arrays for a table, once: anew, created arrays would lose the shards they hold."""
    mark = staging / "arrays"
    if is_file(mark) and read_bytes(mark) == table_digest.encode() and is_file(request.out / "zarr.json"):
        return
    if table.existing_clips:
        extend_arrays(request.out, table.rows, table.columns, table.existing_clips)
    else:
        create_arrays(request.out, table.rows, request.spec.skeleton, table.columns, request.compression)
    write_atomic(mark, table_digest.encode())
