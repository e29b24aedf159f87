"""Owns finding runs: every folder of a tree that holds one, and the one that did a certain work."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mamp_schemas.errors import RecordError
from mamp_schemas.results import RunRecord
from mamp_trainer.ledger.files import RECIPE_FILE, RECORD_FILE, read_record

RunState = Literal["complete", "incomplete", "damaged"]
"""Of a run: it has its record; it has only begun; its record cannot be read."""


@dataclass(frozen=True)
class Run:
    """A run's folder, as it was found.

    Attributes:
        record: None of a run that is not complete.
        problem: why the record cannot be read; empty where it can, or where there is none yet.
    """

    folder: Path
    record: RunRecord | None = None
    problem: str = ""

    @property
    def state(self) -> RunState:
        """Whether it is complete."""
        return "complete" if self.record else "damaged" if self.problem else "incomplete"


def read_runs(roots: Iterable[Path]) -> list[Run]:
    """Return the runs below some folders, or in them, sorted by folder; records that cannot be read stop nothing."""
    return [read_run(folder) for folder in sorted({found for root in roots for found in _run_folders(root)})]


def holds_run(folder: Path) -> bool:
    """Return whether a folder is a run's, complete or not."""
    return any((folder / name).is_file() for name in (RECIPE_FILE, RECORD_FILE))


def read_run(folder: Path) -> Run:
    """Return the run of a folder that holds one."""
    if not (folder / RECORD_FILE).exists():
        return Run(folder)
    try:
        return Run(folder, read_record(folder))
    except RecordError as problem:
        return Run(folder, problem=problem.message)


def find_finished(
    runs: Iterable[Run], recipe_hash: str, store_hash: str, manifest_hash: str, encoder: str
) -> Run | None:
    """Return the first complete run that did a certain work, so that it need not be done again; None if none did.

    For `mampctl reproduce`, and whoever else plans runs: `find_finished(read_runs([folder]), recipe.digest(), ...)`.

    Args:
        runs: those that `read_runs` found.
        recipe_hash: `digest()` of the resolved recipe, seed and draw included.
        store_hash: the store's content hash.
        manifest_hash: `digest()` of the split manifest, for `semi` that of the draw.
        encoder: digest of the weights that the encoder began with (`mamp_trainer.weights.digest` of `load_encoder`),
            or `untrained`.
    """
    wanted = (recipe_hash, store_hash, manifest_hash)
    return next((run for run in runs if run.record and _has_done(run.record, wanted, encoder)), None)


def _has_done(record: RunRecord, wanted: Sequence[str], encoder: str) -> bool:
    return [record.recipe_hash, record.store_hash, record.manifest_hash] == [*wanted] and record.started_from_weights(encoder)


def _run_folders(root: Path) -> Iterator[Path]:
    """Yield the folders that hold a run, from a root down; there is none inside another, nor in hidden folders."""
    for folder, below, files in os.walk(root):
        holds_run = not {RECIPE_FILE, RECORD_FILE}.isdisjoint(files)
        if holds_run:
            yield Path(folder)
        below[:] = [] if holds_run else [name for name in below if not name.startswith(".")]
