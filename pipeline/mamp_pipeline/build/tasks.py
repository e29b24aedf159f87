"""The two tasks of an ingest: parse a part into a staged piece, pack a shard from pieces.

Both take a small picklable job, write under one name of their own and may be run again at any time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.build.clips import SourceClips, read_clips
from mamp_pipeline.build.plan import Part
from mamp_pipeline.motion import compute_intensity, compute_motion, place_rows
from mamp_pipeline.raw.formats import raw_format
from mamp_pipeline.store.layout import RowRange
from mamp_pipeline.store.piece import make_piece, read_piece, write_piece
from mamp_pipeline.store.write import write_shard
from mamp_schemas.datasets import DatasetName
from mamp_schemas.layout import Layout, describe_dataset
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import IngestPolicy


@dataclass(frozen=True, slots=True)
class ParseJob:
    """Parse one part into the piece at `target`; own recordings by their layout."""

    part: Part
    dataset: DatasetName
    policy: IngestPolicy
    motion: MotionSpec
    target: Path
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class PackJob:
    """Pack rows of one shard from the pieces that overlap it: (path, first row of the piece)."""

    store: Path
    rows: RowRange
    pieces: tuple[tuple[Path, int], ...]
    motion: MotionSpec


def parse_part(job: ParseJob) -> None:
    """Read, parse and clean a part's files; a file that cannot become a clip is quarantined."""
    spec, form = describe_dataset(job.dataset, job.layout), raw_format(job.dataset, job.layout)
    found = SourceClips()
    for source in job.part.sources:
        read_clips(source, form, spec, job.policy, found)
    joints = len(spec.skeleton.joints)
    write_piece(job.target, make_piece(found.clips, found.quarantined, joints, job.motion, found.tally))


def pack_shard(job: PackJob) -> None:
    """Copy the shard's rows from its pieces, compute their motion and intensity, and write them."""
    parts: dict[str, list[NDArray[np.float32]]] = {"joints": [], "motion": [], "intensity": []}
    for path, first in job.pieces:
        piece = read_piece(path)
        if piece.joints is None:
            continue
        places = place_rows(piece.columns["frames"], piece.columns["bodies"])
        cut = slice(max(0, job.rows.start - first), job.rows.stop - first)
        parts["joints"].append(piece.joints[cut])
        parts["motion"].append(compute_motion(piece.joints, places, job.motion.stride)[cut])
        parts["intensity"].append(compute_intensity(piece.joints, places, job.motion.segment)[cut])
    write_shard(job.store, job.rows, {name: np.concatenate(rows) for name, rows in parts.items()})
