"""The clip table of a store in the making, gathered from its pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.store.layout import Columns, first_rows, pack_ids
from mamp_pipeline.store.piece import read_piece
from mamp_schemas.store import Quarantined


@dataclass(frozen=True)
class Table:
    """All clips of all pieces, in order.

    Attributes:
        ids: clip ids.
        columns: every clip column of the store.
        piece_rows: (pieces + 1,) the first row of each piece, and the total.
        quarantined: files left out.
    """

    ids: list[str]
    columns: Columns
    piece_rows: NDArray[np.int64]
    quarantined: tuple[Quarantined, ...]

    @property
    def rows(self) -> int:
        """Rows of the whole store."""
        return int(self.piece_rows[-1])


def gather_table(pieces: Sequence[Path]) -> Table:
    """Read the tables of all pieces, without their rows."""
    read = [read_piece(path, rows=False) for path in pieces]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([piece.columns[name] for piece in read]) for name in read[0].columns
    }
    ids = [name for piece in read for name in piece.ids]
    frames, bodies = columns["frames"].astype(np.int64), columns["bodies"].astype(np.int64)
    columns["id"] = pack_ids(ids)
    columns["first_row"] = first_rows(frames, bodies)
    counts = np.array([len(piece.ids) for piece in read])
    ends = np.concatenate([[0], np.cumsum(frames * bodies)])[np.cumsum(counts)]
    quarantined = tuple(entry for piece in read for entry in piece.quarantined)
    return Table(ids, columns, np.concatenate([[0], ends]).astype(np.int64), quarantined)
