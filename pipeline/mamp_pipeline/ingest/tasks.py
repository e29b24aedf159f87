"""The two tasks of an ingest: parse raw files into a staged part, and pack a shard from staged parts."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np

from mamp_pipeline.cleaning.plausibility import count_sizes
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.io.read import prefetch, replaced_error
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import Part
from mamp_pipeline.ingest.read_files import read_file
from mamp_pipeline.ingest.staging import ShardManifest, check_owner_marker, open_staged_part, write_shard_manifest
from mamp_pipeline.store.shards import RowRange, WholeClips, clips_in_range, pack_rows
from mamp_pipeline.store.staged_part import StagedPart, pack_part, write_part
from mamp_pipeline.store.writer import write_shard
from mamp_schemas.errors import RawInputError
from mamp_schemas.io.storage import exists, modification_token
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.base import canonical_json
from mamp_schemas.models.dataset import dataset_identity
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.store import MotionSpec


@dataclass(frozen=True, slots=True)
class ParseJob:
    """Parse the files of a part.

    Attributes:
        part: the files.
        dataset: the name of their dataset.
        policy: how bodies become a clip.
        motion: how intensity is computed.
        plan_digest: digest of the plan that the staging folder belongs to.
        target: the staged part to write.
        layout: describes own recordings.
    """

    part: Part
    dataset: str
    policy: IngestPolicy
    motion: MotionSpec
    plan_digest: str
    target: StoragePath
    layout: Layout | None = None

    def digest(self) -> str:
        """Return the sha256 of all that the staged part depends on; a file that was written again changes it."""
        files = [[source.identity, *(_file_state(file) for file in source.files)] for source in self.part.sources]
        dataset = dataset_identity(self.dataset, self.layout)
        head = [_package_version(), dataset, self.policy.digest(), self.motion.digest(), files]
        return hashlib.sha256(canonical_json(head)).hexdigest()


@dataclass(frozen=True, slots=True)
class PackJob:
    """Pack rows of one shard.

    Attributes:
        store: the store to write to.
        rows: rows of one shard.
        parts: paths of the staged parts that overlap them, and the first row of each in the store.
        existing_rows: rows before this one belong to the store that is extended, and stay.
        motion: how motion and intensity are computed.
        plan_digest: digest of the plan that the staging folder belongs to.
        shard_manifest: the file that says that the shard is written.
        table_digest: digest of the clip table that the rows belong to.
    """

    store: StoragePath
    rows: RowRange
    parts: tuple[tuple[StoragePath, int], ...]
    existing_rows: int
    motion: MotionSpec
    plan_digest: str
    shard_manifest: StoragePath
    table_digest: str


def parse_part(job: ParseJob) -> None:
    """Read, parse and clean a part's files; a file that cannot become a clip is quarantined.

    Raises:
        RawInputError: a whole folder or archive is missing, which does not mean that its files are damaged; an archive
            was written meanwhile, or a file was replaced.
        StoreError: this worker does not see the staging folder, or it belongs to another plan by now.
    """
    check_owner_marker(job.target.parent, job.plan_digest)
    _check_containers(job.part)
    reader = find_reader(job.dataset, job.layout)
    with prefetch(job.part.sources):
        files = [read_file(source, reader.open, reader, job.policy) for source in job.part.sources]
    _check_containers(job.part)
    _check_archives(job.part)
    clips = [clip for file in files for clip in file.clips]
    samples, frames = [sample for file in files for sample in file.samples], [clip.joints.shape[1] for _, clip in clips]
    counts = sum((file.counts for file in files), count_sizes(samples, frames, reader.options.skeleton))
    part = pack_part(
        clips,
        [entry for file in files for entry in file.quarantined],
        len(reader.options.skeleton.joints),
        job.motion,
        counts,
    )
    write_part(job.target, part, job.digest())


def pack_shard(job: PackJob) -> ShardManifest:
    """Copy a shard's rows from staged parts, compute their motion and intensity, and write them.

    Raises:
        DamagedPartError: a staged part is damaged; it is removed, so that the next run parses its files again.
        StoreError: this worker does not see the staging folder, or it belongs to another plan by now.
    """
    check_owner_marker(job.shard_manifest.parent, job.plan_digest)
    new = RowRange(max(job.rows.start, job.existing_rows), job.rows.stop)
    clips = [_clips_of_part(open_staged_part(path), first, new) for path, first in job.parts]
    arrays = pack_rows(clips, new, job.motion)
    if job.rows.start < job.existing_rows:
        store = open_store(job.store)
        arrays = {
            name: np.concatenate([store.read_rows(name, job.rows.start, job.existing_rows), rows])
            for name, rows in arrays.items()
        }
    manifest = ShardManifest(table_digest=job.table_digest, shard=write_shard(job.store, job.rows, arrays))
    write_shard_manifest(job.shard_manifest, manifest)
    return manifest


def _clips_of_part(part: StagedPart, first: int, rows: RowRange) -> WholeClips:
    """Return the clips of a part that have rows in the range; `first` is the part's first row in the store."""
    if part.joints is None:
        raise ValueError("only the table of the staged part was read")
    frames, bodies = part.columns["frames"], part.columns["bodies"]
    stops = first + np.cumsum(frames * bodies)
    starts = stops - frames * bodies
    clips = clips_in_range(starts, stops, rows)
    start, stop = int(starts[clips][0]), int(stops[clips][-1])
    return WholeClips(part.joints[start - first : stop - first], start, frames[clips], bodies[clips])


def _check_containers(part: Part) -> None:
    for container in {file.container for source in part.sources for file in source.files}:
        try:
            visible = exists(container)
        except PermissionError:
            visible = False
        if not visible:
            raise RawInputError(
                f"{container}: not there any more, or not to be seen from this worker",
                remedy="Make it visible under the same path to every worker, then run the same command again.",
            )


def _check_archives(part: Part) -> None:
    """Refuse archives that were written after they were listed: then no member is where its directory said.

    Raises:
        RawInputError: one was.
    """
    listed = {file.container: file.changed for source in part.sources for file in source.files if file.entry}
    for archive, modified in listed.items():
        try:
            unchanged = modification_token(archive) == modified
        except OSError:
            unchanged = False
        if not unchanged:
            raise replaced_error(str(archive))


def _file_state(file: RawSource) -> list[str | int]:
    """Return what differs for another file in the place of one that was staged, even of the same size and time."""
    return [file.portable_path, file.size, file.change_token, 0 if file.entry else file.changed]


@cache
def _package_version() -> str:
    return version("mampctl")
