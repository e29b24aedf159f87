"""An ingest from raw files to a finished store: plan, parse, pack, finish."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mamp_pipeline.build.engine import Workers, open_engine
from mamp_pipeline.build.finish import describe
from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.phases import pack_shards, parse_parts
from mamp_pipeline.build.plan import plan_hash, plan_parts
from mamp_pipeline.build.request import Found, Ingest, find_input
from mamp_pipeline.build.sight import choose_sight
from mamp_pipeline.build.staging import MARK, claim, discard, piece_path, read_mark, staging_of
from mamp_pipeline.build.standing import find_done, open_standing, remove_leftovers
from mamp_pipeline.build.table import Table, gather_table
from mamp_pipeline.places import is_file, list_sizes, read
from mamp_pipeline.store.files import write_whole
from mamp_pipeline.store.layout import SHARD_ROWS
from mamp_pipeline.store.read import is_complete
from mamp_pipeline.store.write import create_arrays, extend_arrays, write_metadata
from mamp_schemas.errors import ClusterError
from mamp_schemas.output import output_errors
from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_schemas.store import StoreMetadata

__all__ = ["Ingest", "ingest"]


def ingest(request: Ingest, progress: Progress, workers: Workers | None = None) -> StoreMetadata:
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
    standing = open_standing(request)
    found = find_input(request, progress)
    plan = plan_hash(request.identity, request.policy, request.motion, found.sources)
    with output_errors(request.out):
        done = find_done(request, found, standing) if standing else None
        if done:
            remove_leftovers(request, plan, progress)
            progress.message(f"{request.out} is complete and holds this input: nothing to do")
            return done
        with lock_output(request.out):
            return _build(request, found, plan, workers or Workers(), progress)


def _build(request: Ingest, found: Found, plan: str, workers: Workers, progress: Progress) -> StoreMetadata:
    # Again, now that nobody else can write there: another ingest may have ended since.
    base = open_standing(request)
    done = find_done(request, found, base) if base else None
    if done:
        return done
    begun = read_mark(staging_of(request.out)) == plan
    staging = claim(request.out, plan, replacing=base is not None or is_complete(request.out))
    parts = list(plan_parts(found.sources))
    sight = choose_sight(staging, found.sources)
    with _unclaimed_without_engine(staging, begun), open_engine(workers, len(parts), sight, progress) as engine:
        parse_parts(request, parts, staging, plan, engine, progress)
        table = gather_table([piece_path(staging, part.number) for part in parts], base)
        metadata = describe(request, found, table, base)
        state = f"{metadata.content_hash} {table.kept_rows} {SHARD_ROWS} {request.compression}"
        _prepare(request, table, staging, state)
        pack_shards(request, table, staging, plan, state, engine, progress)
        write_metadata(request.out, metadata)
        discard(staging)
    return metadata


@contextmanager
def _unclaimed_without_engine(staging: Place, begun: bool) -> Iterator[None]:
    """Leave no staging folder behind when the work has not begun: there was no cluster for it."""
    try:
        yield
    except ClusterError:
        if not begun and not list_sizes(staging).keys() - {MARK}:
            discard(staging)
        raise


def _prepare(request: Ingest, table: Table, staging: Place, state: str) -> None:
    """Create or extend the arrays for a table, once: anew, created arrays would lose the shards they hold."""
    mark = staging / "arrays"
    if is_file(mark) and read(mark) == state.encode() and is_file(request.out / "zarr.json"):
        return
    if table.kept_clips:
        extend_arrays(request.out, table.rows, table.columns, table.kept_clips)
    else:
        create_arrays(request.out, table.rows, request.spec.skeleton, table.columns, request.compression)
    write_whole(mark, state.encode())
