"""Import a file of other code as a store.

The clips go to a scratch file, are sorted by id and packed into shards. The metadata and the manifests come last.
"""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.cleaning.plausibility import count_sizes, sample_records
from mamp_pipeline.convert.source import ImportClip, ImportSource, SecondSlot
from mamp_pipeline.datasets.clips import Clip, ClipInfo
from mamp_pipeline.ingest.read_files import is_empty_body
from mamp_pipeline.ingest.run import log_sizes
from mamp_pipeline.ingest.staging import open_staging, remove_staging, staging_path
from mamp_pipeline.splits import make_manifest
from mamp_pipeline.store.metadata import IngestSummary, make_store_metadata
from mamp_pipeline.store.shards import (
    RowRange,
    WholeClips,
    clips_in_range,
    first_rows,
    pack_ids,
    pack_rows,
    plan_shards,
)
from mamp_pipeline.store.staged_part import pack_part
from mamp_pipeline.store.writer import create_arrays, write_metadata, write_shard
from mamp_schemas.errors import MampctlError, RawInputError, StoreExistsError
from mamp_schemas.io.atomic import output_errors
from mamp_schemas.io.locks import lock_output
from mamp_schemas.io.manifests import manifest_path, write_manifest
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.io.store_reader import BLOCK_ROWS, Columns, clip_ends, is_complete, open_store
from mamp_schemas.models.body_sizes import BodySizes
from mamp_schemas.models.policy import EmptySlotFill, ImportedPolicy
from mamp_schemas.models.skeleton import Skeleton
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, ROW_ARRAYS, MotionSpec, StoreMetadata
from mamp_schemas.progress import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScratchClip:
    """A clip in the scratch file.

    Attributes:
        offset: of its first row, bytes.
        bodies, frames: of its rows in the file.
        valid_frames: Tv.
        second_slot: as in `ImportClip`.
    """

    offset: int
    bodies: int
    frames: int
    valid_frames: int
    second_slot: SecondSlot

    def stores_second_slot(self, empty_slot: EmptySlotFill) -> bool:
        """Return whether the second slot must be stored because the policy would fill in something else."""
        return self.second_slot in ("zeros", "copy") and self.second_slot != empty_slot


def write_scratch_file(path: Path, clips: Iterable[ImportClip], progress: Progress) -> list[ScratchClip]:
    """Write clips one after the other, as little-endian float32; return their positions in the file."""
    written = []
    offset = 0
    with path.open("wb") as file:
        for clip in clips:
            bodies, frames = clip.joints.shape[:2]
            written.append(ScratchClip(offset, bodies, frames, clip.valid_frames, clip.second_slot))
            file.write(np.ascontiguousarray(clip.joints, dtype="<f4").data)
            offset += clip.joints.nbytes
            progress.advance(1)
    return written


def read_scratch_clip(
    file: IO[bytes], clip: ScratchClip, joints: int, empty_slot: EmptySlotFill
) -> NDArray[np.float32]:
    """Return a clip as a store with this policy holds it, (M, T, V, 3)."""
    shape = (clip.bodies, clip.frames, joints, 3)
    file.seek(clip.offset)
    stored = np.frombuffer(file.read(4 * int(np.prod(shape))), dtype="<f4").astype(np.float32).reshape(shape)
    if not clip.stores_second_slot(empty_slot):
        return stored
    return np.concatenate([stored, stored if clip.second_slot == "copy" else np.zeros_like(stored)])


def choose_empty_slot(clips: Sequence[ScratchClip]) -> EmptySlotFill:
    """Return the policy with fewer rows to store: the content of the second slot in most one-body clips.

    Samples and exports are the same with either policy, as a slot with other content is stored.
    """
    rows = {second: sum(clip.frames for clip in clips if clip.second_slot == second) for second in ("zeros", "copy")}
    return "copy" if rows["copy"] > rows["zeros"] else "zeros"


@dataclass(frozen=True)
class ImportTable:
    """All clips of an import, sorted by id.

    Attributes:
        scratch_file: the file of their rows.
        clips: their positions in that file.
        joints: V.
        empty_slot: content of the second slot that the store leaves out of one-body clips.
        columns: every clip column of the store.
        counts: what the clips' bodies measure, and clips whose second body is empty.
    """

    scratch_file: Path
    clips: Sequence[ScratchClip]
    joints: int
    empty_slot: EmptySlotFill
    columns: Columns
    counts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of the whole store."""
        return int(clip_ends(self.columns)[-1]) if self.clips else 0

    def read_clips(self, rows: RowRange) -> WholeClips:
        """Return the clips that have rows in a range."""
        starts = self.columns["first_row"]
        clips = clips_in_range(starts, clip_ends(self.columns), rows)
        with self.scratch_file.open("rb") as file:
            joints = [
                read_scratch_clip(file, clip, self.joints, self.empty_slot).reshape(-1, self.joints, 3)
                for clip in self.clips[clips]
            ]
        frames, bodies = self.columns["frames"][clips], self.columns["bodies"][clips]
        return WholeClips(np.concatenate(joints), int(starts[clips][0]), frames, bodies)


def build_clip_table(
    scratch_file: Path, infos: Sequence[ClipInfo], clips: Sequence[ScratchClip], skeleton: Skeleton, motion: MotionSpec
) -> ImportTable:
    """Sort the clips of a scratch file by id and compute their columns.

    Args:
        scratch_file: the file of their rows.
        infos: id, label and numbers of each clip, in the order of `clips`.
        clips: their positions in that file.
        skeleton: of V joints.
        motion: how intensity is computed.
    """
    joints, counts = len(skeleton.joints), Counter[str]()
    order = sorted(range(len(clips)), key=lambda clip: infos[clip].id)
    infos, clips = [infos[clip] for clip in order], [clips[clip] for clip in order]
    empty_slot = choose_empty_slot(clips)
    parts: list[dict[str, NDArray[Any]]] = [pack_part([], [], joints, motion).columns]
    with scratch_file.open("rb") as file:
        for first, last in _batches(clips):
            read = [
                Clip(read_scratch_clip(file, clip, joints, empty_slot), clip.valid_frames) for clip in clips[first:last]
            ]
            samples = [sample_records(clip.joints[0]) for clip in read]
            counts.update(count_sizes(samples, [clip.joints.shape[1] for clip in read], skeleton))
            counts["empty_body"] += sum(map(is_empty_body, read))
            parts.append(pack_part(list(zip(infos[first:last], read, strict=True)), [], joints, motion).columns)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns["id"] = pack_ids([info.id for info in infos])
    columns["first_row"] = first_rows(columns["frames"], columns["bodies"])
    return ImportTable(scratch_file, clips, joints, empty_slot, columns, counts)


def _batches(clips: Sequence[ScratchClip]) -> Iterator[tuple[int, int]]:
    """Divide clips into runs of about `BLOCK_ROWS` rows."""
    first, rows = 0, 0
    for last, clip in enumerate(clips, start=1):
        rows += 2 * clip.frames
        if rows >= BLOCK_ROWS:
            yield first, last
            first, rows = last, 0
    if first < len(clips):
        yield first, len(clips)


def file_fingerprint(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_import_metadata(
    source_file: ImportSource, source: str, table: ImportTable, motion: MotionSpec
) -> StoreMetadata:
    """Return the metadata of an imported store. How its clips were cleaned is not known.

    Args:
        source_file: the file.
        source: its fingerprint.
        table: the clips.
        motion: how motion and intensity were computed.
    """
    policy = ImportedPolicy(
        name="imported",
        origin=source_file.origin,
        ids=source_file.id_origin,
        labels=source_file.label_kind,
        valid_frames="signed_sum",
        empty_slot=table.empty_slot,
    )
    return make_store_metadata(
        dataset=source_file.dataset.name,
        policy=policy,
        motion=motion,
        ids=sorted(info.id for info in source_file.infos),
        columns=table.columns,
        summary=IngestSummary(
            source,
            sizes=BodySizes.from_counts(table.counts),
            noted={note: table.counts[note] for note in NOTE_DESCRIPTIONS if table.counts.get(note)},
        ),
    )


def write_import_manifests(source_file: ImportSource, metadata: StoreMetadata, out: Path) -> None:
    """Write the manifests of the splits in the file beside the store, in the order of its clips."""
    for split in source_file.splits:
        manifest = make_manifest(metadata, split.protocol, split.train, split.test, split.valid)
        write_manifest(manifest_path(out, manifest.protocol), manifest)


_MOTION = MotionSpec()


def import_store(source_file: ImportSource, out: Path, progress: Progress) -> StoreMetadata:
    """Make a store from a file, and the manifests of its splits. After an interruption it starts again.

    Raises:
        RawInputError: the file has no clips, or a number that a store cannot hold, or changed while it was read.
        StoreExistsError: there is another store, or something else, at the output.
        OutputError: the disk is full or the folder cannot be written.
    """
    if not source_file.infos:
        raise RawInputError(f"{source_file.path}: has no clips")
    logger.info(f"{source_file.path.name}: {len(source_file.infos):,} clips of {source_file.dataset.title}")
    source, out = file_fingerprint(source_file.path), out.resolve()
    source_file.check_unchanged()
    with output_errors(out), lock_output(out):
        if is_complete(out):
            return _keep_existing_store(source_file, source, out)
        staging = open_staging(out, f"import {source_file.origin} {source_file.dataset.name} {source}", replacing=False)
        if out.exists():
            shutil.rmtree(out)
        table = _write_clip_table(source_file, staging, progress)
        checksums = _write_rows(source_file, table, out, progress)
        metadata = make_import_metadata(source_file, source, table, _MOTION)
        # Before the completion mark: a store of a file without names could not be split again.
        write_import_manifests(source_file, metadata, out)
        write_metadata(out, metadata, table.columns, checksums)
        remove_staging(staging)
    log_sizes(metadata)
    return metadata


def _keep_existing_store(source_file: ImportSource, source: str, out: Path) -> StoreMetadata:
    metadata = open_store(out).metadata
    same = isinstance(metadata.policy, ImportedPolicy) and metadata.policy.origin == source_file.origin
    if not (same and metadata.source == source and metadata.dataset == source_file.dataset.name):
        raise StoreExistsError(
            f"{out}: there is a finished store of other input",
            remedy="Choose another --out, or remove that store.",
        )
    logger.info(f"{out} is complete and from the same file: writing only its split manifests")
    write_import_manifests(source_file, metadata, out)
    if staging_path(out).exists():
        remove_staging(staging_path(out))
    return metadata


def _write_clip_table(source_file: ImportSource, staging: Path, progress: Progress) -> ImportTable:
    scratch_file = staging / "clips.f4"
    progress.start("import", len(source_file.infos), "clips")
    try:
        clips = write_scratch_file(scratch_file, source_file.read_clips(), progress)
        source_file.check_unchanged()
    except (MampctlError, OSError):
        remove_staging(staging)
        raise
    return build_clip_table(scratch_file, source_file.infos, clips, source_file.dataset.skeleton, _MOTION)


def _write_rows(source_file: ImportSource, table: ImportTable, out: Path, progress: Progress) -> dict[str, str]:
    """Write the arrays; return the checksums of their rows."""
    create_arrays(out, table.rows, source_file.dataset.skeleton, table.columns)
    progress.start("pack", table.rows, "rows")
    written = []
    for rows in plan_shards(table.rows):
        written.append(write_shard(out, rows, pack_rows([table.read_clips(rows)], rows, _MOTION)))
        progress.advance(rows.stop - rows.start)
    return {name: "".join(shard.checksums[name] for shard in written) for name in ROW_ARRAYS}
