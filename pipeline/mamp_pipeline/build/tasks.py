"""The two tasks of an ingest: parse a part into a staged piece, pack a shard from pieces.

Both take a small picklable job, write under one name of their own and may be run again at any time, on any machine
that sees the raw files and the staging folder.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np

from mamp_pipeline.build.block import assemble_rows
from mamp_pipeline.build.clips import SourceClips, read_clips
from mamp_pipeline.build.plan import Part
from mamp_pipeline.build.staging import check_owner_marker, open_staged_part
from mamp_pipeline.places import exists
from mamp_pipeline.raw.ahead import prefetch
from mamp_pipeline.raw.formats import raw_format
from mamp_pipeline.store.files import write_atomic
from mamp_pipeline.store.layout import RowRange
from mamp_pipeline.store.piece import pack_part
from mamp_pipeline.store.piece_file import write_part
from mamp_pipeline.store.read import open_store
from mamp_pipeline.store.write import write_shard
from mamp_schemas.base import canonical_json
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import RawInputError
from mamp_schemas.layout import Layout, dataset_spec, dataset_identity
from mamp_schemas.motion import MotionSpec
from mamp_schemas.places import StoragePath
from mamp_schemas.policy import IngestPolicy


@dataclass(frozen=True, slots=True)
class ParseJob:
    """Parse one part into the piece at `target`, in the staging folder of `plan`; own recordings by their layout."""

    part: Part
    dataset: DatasetName
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
        kept: rows of the store before this one are there already and stay: those of the store being extended.
        motion: how motion and intensity are computed.
        plan: whose staging folder it is.
        receipt: file to say in that the shard is written.
        state: digest of the table the rows are of.
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
    spec, form = dataset_spec(job.dataset, job.layout), raw_format(job.dataset, job.layout)
    found = SourceClips()
    with prefetch(job.part.sources):
        for source in job.part.sources:
            read_clips(source, form, spec, job.policy, found)
    _check_containers(job.part)
    piece = pack_part(found.clips, found.quarantined, len(spec.skeleton.joints), job.motion, found.counts)
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
            name: np.concatenate([store.read_rows(name, job.rows.start, job.existing_rows), rows]) for name, rows in arrays.items()
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
