"""Owns a run's checkpoints as a whole: which there are, and which of them are kept."""

import re
import shutil
from pathlib import Path

from mamp_schemas.errors import CheckpointError
from mamp_trainer.checkpoint.files import Snapshot, read_meta, write
from mamp_trainer.output import PARTIAL

KEPT = 2
"""How many checkpoints of a run are kept besides the best: the latest, and one before it in case that is damaged."""

_FOLDER = "checkpoints"
_NAME = re.compile(r"step-\d{8}")


def save(run: Path, snapshot: Snapshot) -> Path:
    """Write a checkpoint, then remove all but the last `KEPT` ones and the best.

    Args:
        run: the run's folder.
        snapshot: what it holds.

    Raises:
        OutputError: it cannot be written; the earlier checkpoints stay.
    """
    folder = run / _FOLDER / f"step-{snapshot.step:08d}"
    write(folder, snapshot)
    kept = {*folders(run)[-KEPT:], best(run)}
    for older in (*(each for each in folders(run) if each not in kept), *folder.parent.glob(f".*{PARTIAL}")):
        shutil.rmtree(older)
    return folder


def latest(run: Path) -> Path | None:
    """Return the folder of a run's latest checkpoint, None before the first."""
    found = folders(run)
    return found[-1] if found else None


def best(run: Path) -> Path | None:
    """Return the checkpoint of the highest measure, the earliest of equals; None where none was measured."""
    measured = [(measure, folder) for folder in folders(run) if (measure := _measure(folder)) is not None]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None


def folders(run: Path) -> list[Path]:
    """Return the folders of a run's checkpoints, from the first step to the last."""
    folder = run / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


def _measure(folder: Path) -> float | None:
    try:
        return read_meta(folder).measure
    except CheckpointError:
        return None  # a damaged one is not the best of them
