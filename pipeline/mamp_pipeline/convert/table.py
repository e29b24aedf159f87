"""The clip table of an import: what the columns of its store say, and where each clip lies in the spool."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.spool import ScratchClip, choose_empty_slot, read_scratch_clip
from mamp_pipeline.raw.bodies import Clip, ClipInfo
from mamp_pipeline.store.layout import Columns, first_rows, pack_ids
from mamp_pipeline.store.piece import pack_part
from mamp_pipeline.store.read import BLOCK_ROWS, clip_ends
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import EmptySlotFill


@dataclass(frozen=True)
class ImportTable:
    """All clips of an import, sorted by id.

    Attributes:
        spool: the file they lie in.
        clips: where.
        joints: V.
        empty_slot: what the store leaves out of one-body clips.
        columns: every clip column of the store.
    """

    scratch_file: Path
    clips: Sequence[ScratchClip]
    joints: int
    empty_slot: EmptySlotFill
    columns: Columns

    @property
    def rows(self) -> int:
        """Rows of the whole store."""
        return int(clip_ends(self.columns)[-1]) if self.clips else 0

    def read_rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Return the rows of clips [first, last), (rows, V, 3)."""
        with self.scratch_file.open("rb") as file:
            rows = [
                read_scratch_clip(file, clip, self.joints, self.empty_slot).reshape(-1, self.joints, 3)
                for clip in self.clips[first:last]
            ]
        return np.concatenate(rows)


def build_clip_table(
    scratch_file: Path, infos: Sequence[ClipInfo], clips: Sequence[ScratchClip], joints: int, motion: MotionSpec
) -> ImportTable:
    """Sort spooled clips by id and compute their columns.

    Args:
        spool: the file they lie in.
        infos: what is known of each clip, in the order of `clips`.
        clips: where they lie.
        joints: V.
        motion: how intensity is computed.
    """
    order = sorted(range(len(clips)), key=lambda place: infos[place].id)
    infos, clips = [infos[place] for place in order], [clips[place] for place in order]
    empty_slot = choose_empty_slot(clips)
    parts: list[dict[str, NDArray[Any]]] = [pack_part([], [], joints, motion).columns]
    with scratch_file.open("rb") as file:
        for first, last in _batches(clips):
            read = [Clip(read_scratch_clip(file, clip, joints, empty_slot), clip.valid_frames) for clip in clips[first:last]]
            piece = pack_part(list(zip(infos[first:last], read, strict=True)), [], joints, motion)
            parts.append(piece.columns)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns["id"] = pack_ids([info.id for info in infos])
    columns["first_row"] = first_rows(columns["frames"], columns["bodies"])
    return ImportTable(scratch_file, clips, joints, empty_slot, columns)


def _batches(clips: Sequence[ScratchClip]) -> Iterator[tuple[int, int]]:
    """Divide clips into runs of about `BLOCK_ROWS` rows."""
    first, rows = 0, 0
    for place, clip in enumerate(clips):
        rows += 2 * clip.frames
        if rows >= BLOCK_ROWS:
            yield first, place + 1
            first, rows = place + 1, 0
    if first < len(clips):
        yield first, len(clips)
