"""An ingest from raw files to a finished store: plan, parse, pack, finish."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.plan import Part, fingerprint, plan_hash, plan_parts
from mamp_pipeline.build.staging import claim, discard, piece_path, staging_of
from mamp_pipeline.build.table import Table, gather_table
from mamp_pipeline.build.tasks import PackJob, ParseJob, pack_shard, parse_part
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.formats import RAW_FORMATS, belongs
from mamp_pipeline.raw.sources import find_sources, read_exclude_list
from mamp_pipeline.store.digest import content_hash
from mamp_pipeline.store.layout import RowRange, plan_shards
from mamp_pipeline.store.read import is_complete, open_store
from mamp_pipeline.store.write import create_arrays, write_metadata
from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import RawInputError, StoreExistsError
from mamp_schemas.motion import MotionSpec
from mamp_schemas.output import output_errors
from mamp_schemas.policy import IngestPolicy
from mamp_schemas.progress import Progress
from mamp_schemas.store import FORMAT_VERSION, StoreCounts, StoreMetadata


@dataclass(frozen=True)
class Ingest:
    """What to ingest, how, and to where.

    Attributes:
        raw: folders and zip archives.
        out: the store.
        exclude: a list of clip ids to leave out, such as the dataset's missing-skeleton list.
    """

    dataset: DatasetName
    raw: tuple[Path, ...]
    out: Path
    policy: IngestPolicy
    exclude: Path | None = None
    motion: MotionSpec = field(default_factory=MotionSpec)


@dataclass(frozen=True)
class _Input:
    """The sources of an ingest, and how many files were left out."""

    sources: list[RawSource]
    excluded: int
    foreign: int


def ingest(request: Ingest, progress: Progress) -> StoreMetadata:
    """Make a store from raw files; run again after any interruption, it goes on where it stopped.

    Raises:
        RawInputError: nothing to ingest was found, or a clip was found twice.
        StoreExistsError: another store, or something else, stands at the output.
        OutputError: the disk is full or the folder cannot be written.
    """
    found = _find(request, progress)
    if is_complete(request.out):
        return _unchanged(request, found.sources, progress)
    plan = plan_hash(request.dataset, request.policy, request.motion, found.sources)
    with output_errors(request.out), lock_output(request.out):
        staging = claim(request.out, plan)
        parts = list(plan_parts(found.sources))
        _parse(request, parts, staging, progress)
        pieces = [piece_path(staging, part.number) for part in parts]
        table = gather_table(pieces)
        _pack(request, table, pieces, progress)
        metadata = _describe(request, found, table)
        write_metadata(request.out, metadata)
        discard(staging)
    return metadata


def _find(request: Ingest, progress: Progress) -> _Input:
    found = find_sources(request.raw, request.dataset)
    own = [source for source in found if _belongs(source, request.dataset)]
    names = read_exclude_list(request.exclude) if request.exclude else frozenset()
    kept = [source for source in own if source.id not in names]
    foreign, excluded = len(found) - len(own), len(own) - len(kept)
    title = DATASETS[request.dataset].title
    progress.message(f"found {len(own):,} raw files of {title}")
    if foreign:
        progress.message(f"{foreign:,} files of the same form do not belong to {title}: left out")
    if request.exclude:
        progress.message(f"{excluded:,} files left out by {request.exclude.name}")
    if not kept:
        raise RawInputError(
            f"none of the {len(found):,} raw files is left to ingest as {title}",
            remedy="Check the dataset's name, --raw and --exclude.",
        )
    return _Input(kept, excluded, foreign)


def _belongs(source: RawSource, dataset: DatasetName) -> bool:
    info = RAW_FORMATS[dataset].info(source.file_name)
    return info is not None and belongs(dataset, info)


def _unchanged(request: Ingest, sources: Sequence[RawSource], progress: Progress) -> StoreMetadata:
    metadata = open_store(request.out).metadata
    same = (
        metadata.source == fingerprint(sources)
        and metadata.policy == request.policy
        and metadata.dataset == request.dataset
        and metadata.motion == request.motion
    )
    if not same:
        raise StoreExistsError(
            f"{request.out}: a finished store of other input or another policy stands there",
            remedy="Choose another --out, or remove that store.",
        )
    if staging_of(request.out).exists():
        discard(staging_of(request.out))
    progress.message(f"{request.out} is complete and of the same input: nothing to do")
    return metadata


def _parse(request: Ingest, parts: Sequence[Part], staging: Path, progress: Progress) -> None:
    progress.start("parse", sum(len(part.sources) for part in parts), "files")
    for part in parts:
        target = piece_path(staging, part.number)
        if not target.exists():
            parse_part(ParseJob(part, request.dataset, request.policy, request.motion, target))
        progress.advance(len(part.sources), bytes=sum(source.size for source in part.sources))


def _pack(request: Ingest, table: Table, pieces: Sequence[Path], progress: Progress) -> None:
    create_arrays(request.out, table.rows, DATASETS[request.dataset].skeleton, table.columns)
    progress.start("pack", table.rows, "rows")
    for rows in plan_shards(table.rows):
        pack_shard(PackJob(request.out, rows, _overlapping(table, pieces, rows), request.motion))
        progress.advance(rows.stop - rows.start)


def _overlapping(table: Table, pieces: Sequence[Path], rows: RowRange) -> tuple[tuple[Path, int], ...]:
    first = int(np.searchsorted(table.piece_rows, rows.start, side="right")) - 1
    last = int(np.searchsorted(table.piece_rows, rows.stop, side="left"))
    return tuple((pieces[index], int(table.piece_rows[index])) for index in range(first, last))


def _describe(request: Ingest, found: _Input, table: Table) -> StoreMetadata:
    digests = (digest.tobytes() for digest in table.columns["digest"])
    clips = zip(table.ids, digests, strict=True)
    frames, bodies = table.columns["frames"], table.columns["bodies"]
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=request.dataset,
        skeleton=DATASETS[request.dataset].skeleton,
        policy=request.policy,
        policy_hash=request.policy.digest(),
        motion=request.motion,
        source=fingerprint(found.sources),
        versions={name: version(name) for name in ("mampctl", "numpy", "zarr")},
        counts=StoreCounts(
            clips=len(table.ids),
            rows=table.rows,
            bodies=int(bodies.sum()),
            frames=int(frames.sum()),
            excluded=found.excluded,
            foreign=found.foreign,
            quarantined=len(table.quarantined),
        ),
        content_hash=content_hash(request.dataset, request.policy, request.motion, clips),
        quarantined=table.quarantined,
    )
