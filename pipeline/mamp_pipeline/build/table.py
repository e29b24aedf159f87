"""The clip table of a store in the making, gathered from its pieces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.build.staging import open_staged_part
from mamp_pipeline.store.layout import Columns, first_rows, pack_ids
from mamp_pipeline.store.read import Store
from mamp_schemas.places import StoragePath
from mamp_schemas.store import QuarantinedFile


@dataclass(frozen=True)
class ClipTable:
    """All clips of all pieces, in order.

    Attributes:
        ids: clip ids.
        columns: every clip column of the store.
        kept_clips: how many of the clips the store has already.
        piece_rows: (pieces + 1,) the first row of each piece in the store, and the total.
        quarantined: files left out of the pieces.
        tally: the pieces' tallies, summed.
    """

    ids: list[str]
    columns: Columns
    existing_clips: int
    part_rows: NDArray[np.int64]
    quarantined: tuple[QuarantinedFile, ...]
    counts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of the whole store."""
        return int(self.part_rows[-1])

    @property
    def existing_rows(self) -> int:
        """How many of the rows the store has already."""
        return int(self.part_rows[0])


def gather_table(pieces: Sequence[StoragePath], base: Store | None) -> ClipTable:
    """Read the tables of all pieces, without their rows, behind that of the store they extend."""
    read = [open_staged_part(path, rows=False) for path in pieces]
    tables: list[Columns] = [*([base.columns] if base else []), *(piece.columns for piece in read)]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name] for table in tables]) for name in read[0].columns
    }
    ids = [*(base.ids if base else []), *(name for piece in read for name in piece.ids)]
    frames, bodies = columns["frames"].astype(np.int64), columns["bodies"].astype(np.int64)
    columns["id"] = pack_ids(ids)
    columns["first_row"] = first_rows(frames, bodies)
    kept = len(base.ids) if base else 0
    places = kept + np.cumsum([0, *(len(piece.ids) for piece in read)])
    ends = np.concatenate([[0], np.cumsum(frames * bodies)])
    quarantined = tuple(entry for piece in read for entry in piece.quarantined)
    tally = sum((Counter(piece.counts) for piece in read), Counter())
    return ClipTable(ids, columns, kept, ends[places].astype(np.int64), quarantined, tally)
