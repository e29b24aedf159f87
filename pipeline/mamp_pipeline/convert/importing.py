"""An import, from an existing file to a finished store: spool the clips, gather their table, pack, finish."""

import shutil
from pathlib import Path

import numpy as np

from mamp_pipeline.build.lock import lock_output
from mamp_pipeline.build.staging import acquire, remove_staging, staging_path
from mamp_pipeline.convert.existing import ImportSource
from mamp_pipeline.convert.record import make_import_metadata, file_fingerprint, write_import_manifests
from mamp_pipeline.convert.spool import write_scratch_file
from mamp_pipeline.convert.table import ImportTable, build_clip_table
from mamp_pipeline.motion import compute_intensity, compute_motion, index_rows
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


def import_store(source_file: ImportSource, out: Path, progress: Progress) -> StoreMetadata:
    """Make a store of an existing file, and the manifests of its splits; after an interruption it starts anew.

    Raises:
        RawInputError: the file holds no clips, or a number that a store cannot.
        StoreExistsError: another store, or something else, stands at the output.
        OutputError: the disk is full or the folder cannot be written.
    """
    if not source_file.infos:
        raise RawInputError(f"{source_file.path}: holds no clips")
    progress.message(f"{source_file.path.name}: {len(source_file.infos):,} clips, taken as {source_file.dataset.title}")
    source, out = file_fingerprint(source_file.path), out.resolve()
    with output_errors(out), lock_output(out):
        if is_complete(out):
            return _keep_existing_store(source_file, source, out, progress)
        staging = acquire(out, f"import {source_file.origin} {source_file.dataset.name} {source}", replacing=False)
        if out.exists():
            shutil.rmtree(out)
        table = _write_clip_table(source_file, staging, progress)
        _write_rows(source_file, table, out, progress)
        metadata = make_import_metadata(source_file, source, table, _MOTION)
        # Before the mark: a file without names could not be split again.
        write_import_manifests(source_file, metadata, out)
        write_metadata(out, metadata)
        remove_staging(staging)
    return metadata


def _keep_existing_store(source_file: ImportSource, source: str, out: Path, progress: Progress) -> StoreMetadata:
    metadata = open_store(out).metadata
    same = isinstance(metadata.policy, ImportedPolicy) and metadata.policy.origin == source_file.origin
    if not (same and metadata.source == source and metadata.dataset == source_file.dataset.name):
        raise StoreExistsError(
            f"{out}: a finished store of other input stands there",
            remedy="Choose another --out, or remove that store.",
        )
    progress.message(f"{out} is complete and of the same file: only its split manifests are written")
    write_import_manifests(source_file, metadata, out)
    if staging_path(out).exists():
        remove_staging(staging_path(out))
    return metadata


def _write_clip_table(source_file: ImportSource, staging: Path, progress: Progress) -> ImportTable:
    spool = staging / "clips.f4"
    progress.start("import", len(source_file.infos), "clips")
    try:
        clips = write_scratch_file(spool, source_file.read_clips(), progress)
    except (MampctlError, OSError):
        remove_staging(staging)
        raise
    return build_clip_table(spool, source_file.infos, clips, len(source_file.dataset.skeleton.joints), _MOTION)


def _write_rows(source_file: ImportSource, table: ImportTable, out: Path, progress: Progress) -> None:
    create_arrays(out, table.rows, source_file.dataset.skeleton, table.columns)
    ends = clip_ends(table.columns)
    progress.start("pack", table.rows, "rows")
    for rows in plan_shards(table.rows):
        first = int(np.searchsorted(ends, rows.start, side="right"))
        last = int(np.searchsorted(table.columns["first_row"], rows.stop, side="left"))
        _write_one_shard(out, rows, table, first, last)
        progress.advance(rows.stop - rows.start)


def _write_one_shard(out: Path, rows: RowRange, table: ImportTable, first: int, last: int) -> None:
    joints = table.read_rows(first, last)
    places = index_rows(table.columns["frames"][first:last], table.columns["bodies"][first:last])
    start = int(table.columns["first_row"][first])
    cut = slice(rows.start - start, rows.stop - start)
    arrays = {
        "joints": joints[cut],
        "motion": compute_motion(joints, places, _MOTION.stride)[cut],
        "intensity": compute_intensity(joints, places, _MOTION.segment)[cut],
    }
    write_shard(out, rows, arrays)
