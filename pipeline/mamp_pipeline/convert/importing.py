"""An import, from an existing file to a finished store: spool the clips, gather their table, pack, finish."""

import shutil
from pathlib import Path

import numpy as np

from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.staging import claim, discard, staging_of
from mamp_pipeline.convert.existing import Existing
from mamp_pipeline.convert.record import describe_import, fingerprint, write_manifests
from mamp_pipeline.convert.spool import write_spool
from mamp_pipeline.convert.table import ImportTable, gather_table
from mamp_pipeline.motion import compute_intensity, compute_motion, place_rows
from mamp_pipeline.store.layout import RowRange, plan_shards
from mamp_pipeline.store.read import clip_ends, is_complete, open_store
from mamp_pipeline.store.write import create_arrays, write_metadata, write_shard
from mamp_schemas.errors import MampctlError, RawInputError, StoreExistsError
from mamp_schemas.motion import MotionSpec
from mamp_schemas.output import output_errors
from mamp_schemas.policy import ImportedPolicy
from mamp_schemas.progress import Progress
from mamp_schemas.store import StoreMetadata

_MOTION = MotionSpec()


def import_store(existing: Existing, out: Path, progress: Progress) -> StoreMetadata:
    """Make a store of an existing file, and the manifests of its splits; after an interruption it starts anew.

    Raises:
        RawInputError: the file holds no clips, or a number that a store cannot.
        StoreExistsError: another store, or something else, stands at the output.
        OutputError: the disk is full or the folder cannot be written.
    """
    if not existing.infos:
        raise RawInputError(f"{existing.path}: holds no clips")
    progress.message(f"{existing.path.name}: {len(existing.infos):,} clips, taken as {existing.dataset.title}")
    source, out = fingerprint(existing.path), out.resolve()
    with output_errors(out), lock_output(out):
        if is_complete(out):
            return _unchanged(existing, source, out, progress)
        staging = claim(out, f"import {existing.origin} {existing.dataset.name} {source}", replacing=False)
        if out.exists():
            shutil.rmtree(out)
        table = _spool(existing, staging, progress)
        _pack(existing, table, out, progress)
        metadata = describe_import(existing, source, table, _MOTION)
        # Before the mark: a file without names could not be split again.
        write_manifests(existing, metadata, out)
        write_metadata(out, metadata)
        discard(staging)
    return metadata


def _unchanged(existing: Existing, source: str, out: Path, progress: Progress) -> StoreMetadata:
    metadata = open_store(out).metadata
    same = isinstance(metadata.policy, ImportedPolicy) and metadata.policy.origin == existing.origin
    if not (same and metadata.source == source and metadata.dataset == existing.dataset.name):
        raise StoreExistsError(
            f"{out}: a finished store of other input stands there",
            remedy="Choose another --out, or remove that store.",
        )
    progress.message(f"{out} is complete and of the same file: only its split manifests are written")
    write_manifests(existing, metadata, out)
    if staging_of(out).exists():
        discard(staging_of(out))
    return metadata


def _spool(existing: Existing, staging: Path, progress: Progress) -> ImportTable:
    spool = staging / "clips.f4"
    progress.start("import", len(existing.infos), "clips")
    try:
        clips = write_spool(spool, existing.clips(), progress)
    except (MampctlError, OSError):
        discard(staging)
        raise
    return gather_table(spool, existing.infos, clips, len(existing.dataset.skeleton.joints), _MOTION)


def _pack(existing: Existing, table: ImportTable, out: Path, progress: Progress) -> None:
    create_arrays(out, table.rows, existing.dataset.skeleton, table.columns)
    ends = clip_ends(table.columns)
    progress.start("pack", table.rows, "rows")
    for rows in plan_shards(table.rows):
        first = int(np.searchsorted(ends, rows.start, side="right"))
        last = int(np.searchsorted(table.columns["first_row"], rows.stop, side="left"))
        _pack_shard(out, rows, table, first, last)
        progress.advance(rows.stop - rows.start)


def _pack_shard(out: Path, rows: RowRange, table: ImportTable, first: int, last: int) -> None:
    joints = table.read(first, last)
    places = place_rows(table.columns["frames"][first:last], table.columns["bodies"][first:last])
    start = int(table.columns["first_row"][first])
    cut = slice(rows.start - start, rows.stop - start)
    arrays = {
        "joints": joints[cut],
        "motion": compute_motion(joints, places, _MOTION.stride)[cut],
        "intensity": compute_intensity(joints, places, _MOTION.segment)[cut],
    }
    write_shard(out, rows, arrays)
