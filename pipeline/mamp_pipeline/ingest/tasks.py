"""The two tasks of an ingest, to parse a part into a staged part and to pack a shard from staged parts."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.io.read import prefetch
from mamp_pipeline.ingest.plan import Part
from mamp_pipeline.ingest.read_files import SourceClips, read_clips
from mamp_pipeline.ingest.staging import check_owner_marker, open_staged_part
from mamp_pipeline.motion import compute_intensity, compute_motion, index_rows
from mamp_pipeline.store.shards import RowRange
from mamp_pipeline.store.staged_part import StagedPart, pack_part, write_part
from mamp_pipeline.store.writer import write_shard
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.atomic import write_atomic
from mamp_schemas.io.storage import exists
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.base import canonical_json
from mamp_schemas.models.dataset import dataset_identity
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.store import MotionSpec


@dataclass(frozen=True, slots=True)
class _WholeClips:
    """Whole clips that follow each other: their rows, the first one's place in the store, frames and bodies."""

    joints: NDArray[np.float32]
    first: int
    frames: NDArray[np.int64]
    bodies: NDArray[np.int64]


def assemble_rows(
    pieces: Sequence[tuple[StagedPart, int]], rows: RowRange, motion: MotionSpec
) -> dict[str, NDArray[np.float32]]:
    """Return the row arrays of a range of the store.

    Args:
        pieces: in order, those that hold the rows, each with its first row in the store.
        rows: the range.
        motion: how motion and intensity are computed.
    """
    runs = [_clips_in_range(piece, first, rows) for piece, first in pieces]
    joints = np.concatenate([run.joints for run in runs])
    places = index_rows(np.concatenate([run.frames for run in runs]), np.concatenate([run.bodies for run in runs]))
    inside = slice(rows.start - runs[0].first, rows.stop - runs[0].first)
    return {
        "joints": joints[inside],
        "motion": compute_motion(joints, places, motion.stride)[inside],
        "intensity": compute_intensity(joints, places, motion.segment)[inside],
    }


def _clips_in_range(piece: StagedPart, first: int, rows: RowRange) -> _WholeClips:
    """Cut out the clips that have rows in the range: motion and intensity need them whole."""
    if piece.joints is None:
        raise ValueError("only the table of the piece was read")
    frames, bodies = piece.columns["frames"], piece.columns["bodies"]
    stops = first + np.cumsum(frames * bodies)
    starts = stops - frames * bodies
    low = int(np.searchsorted(stops, rows.start, side="right"))
    high = int(np.searchsorted(starts, rows.stop, side="left"))
    start, stop = int(starts[low]), int(stops[high - 1])
    return _WholeClips(piece.joints[start - first : stop - first], start, frames[low:high], bodies[low:high])


@dataclass(frozen=True, slots=True)
class ParseJob:
    """Parse one part into the piece at `target`, in the staging folder of `plan`; own recordings by their layout."""

    part: Part
    dataset: str
    policy: IngestPolicy
    motion: MotionSpec
    plan: str
    target: StoragePath
    layout: Layout | None = None

    def digest(self) -> str:
        """Return the sha256 of all the piece depends on: a file written anew since gives another one."""
        files = [
            [source.identity, *([file.portable_path, file.size, file.change_token] for file in source.files)]
            for source in self.part.sources
        ]
        dataset = dataset_identity(self.dataset, self.layout)
        head = [_package_version(), dataset, self.policy.digest(), self.motion.digest(), files]
        return hashlib.sha256(canonical_json(head)).hexdigest()


@dataclass(frozen=True, slots=True)
class PackJob:
    """Pack rows of one shard.

    Attributes:
        store: where to.
        rows: of one shard.
        pieces: those that overlap it, and the first row of each in the store.
        existing_rows: rows of the store before this one are there already and stay: those of the store being extended.
        motion: how motion and intensity are computed.
        plan: whose staging folder it is.
        shard_manifest: file to say in that the shard is written.
        table_digest: digest of the table the rows are of.
    """

    store: StoragePath
    rows: RowRange
    pieces: tuple[tuple[StoragePath, int], ...]
    existing_rows: int
    motion: MotionSpec
    plan: str
    shard_manifest: StoragePath
    table_digest: str


def parse_part(job: ParseJob) -> None:
    """Read, parse and clean a part's files; a file that cannot become a clip is quarantined.

    Raises:
        RawInputError: a whole folder or archive is out of sight: that is no damage of its files.
        StoreError: the staging folder is out of sight, or not of this plan any more.
    """
    check_owner_marker(job.target.parent, job.plan)
    _check_containers(job.part)
    reader, result = find_reader(job.dataset, job.layout), SourceClips()
    with prefetch(job.part.sources):
        for source in job.part.sources:
            read_clips(source, reader, job.policy, result)
    _check_containers(job.part)
    joints = len(reader.options.skeleton.joints)
    piece = pack_part(result.clips, result.quarantined, joints, job.motion, result.counts)
    write_part(job.target, piece, job.digest())


def pack_shard(job: PackJob) -> None:
    """Copy the shard's rows from its pieces, compute their motion and intensity, and write them.

    Raises:
        DamagedPieceError: a piece is damaged; it is removed, so that the next run makes it anew.
        StoreError: the staging folder is out of sight, or not of this plan any more.
    """
    check_owner_marker(job.shard_manifest.parent, job.plan)
    new = RowRange(max(job.rows.start, job.existing_rows), job.rows.stop)
    arrays = assemble_rows([(open_staged_part(path), first) for path, first in job.pieces], new, job.motion)
    if job.rows.start < job.existing_rows:
        store = open_store(job.store)
        arrays = {
            name: np.concatenate([store.read_rows(name, job.rows.start, job.existing_rows), rows])
            for name, rows in arrays.items()
        }
    written = write_shard(job.store, job.rows, arrays)
    write_atomic(job.shard_manifest, json.dumps({"state": job.table_digest, "files": written}).encode())


def _check_containers(part: Part) -> None:
    for container in {file.container for source in part.sources for file in source.files}:
        try:
            seen = exists(container)
        except PermissionError:
            seen = False
        if not seen:
            raise RawInputError(
                f"{container}: not there any more, or not to be seen from this worker",
                remedy="Make it visible under the same path to every worker, then run the same command again.",
            )


@cache
def _package_version() -> str:
    return version("mampctl")
