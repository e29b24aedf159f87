"""Owns a run's checkpoints as a whole: which there are, and which of them are kept."""

import re
import shutil
from pathlib import Path

from mamp_schemas.errors import CheckpointError
from mamp_trainer.checkpoint.files import Snapshot, read_meta, write_checkpoint
from mamp_trainer.output import PARTIAL_SUFFIX

KEEP_LAST = 2
"""How many checkpoints of a run are kept besides the best: the latest, and one before it in case that is damaged."""

_FOLDER = "checkpoints"
_NAME = re.compile(r"step-\d{8}")


def save_checkpoint(run: Path, snapshot: Snapshot) -> Path:
    """Write a checkpoint, then remove all but the last `KEPT` ones and the best.

    Args:
        run: the run's folder.
        snapshot: what it holds.

    Raises:
        OutputError: it cannot be written; the earlier checkpoints stay.
    """
    folder = run / _FOLDER / f"step-{snapshot.step:08d}"
    write_checkpoint(folder, snapshot)
    kept = {*list_checkpoints(run)[-KEEP_LAST:], best_checkpoint(run)}
    for older in (*(each for each in list_checkpoints(run) if each not in kept), *folder.parent.glob(f".*{PARTIAL_SUFFIX}")):
        shutil.rmtree(older)
    return folder


def latest_checkpoint(run: Path) -> Path | None:
    """Return the folder of a run's latest checkpoint, None before the first."""
    found = list_checkpoints(run)
    return found[-1] if found else None


def best_checkpoint(run: Path) -> Path | None:
    """Return the checkpoint of the highest measure, the earliest of equals; None where none was measured."""
    measured = [(measure, folder) for folder in list_checkpoints(run) if (measure := _read_measure(folder)) is not None]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None


def list_checkpoints(run: Path) -> list[Path]:
    """Return the folders of a run's checkpoints, from the first step to the last."""
    folder = run / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


def _read_measure(folder: Path) -> float | None:
    try:
        return read_meta(folder).measure
    except CheckpointError:
        return None  # a damaged one is not the best of them
