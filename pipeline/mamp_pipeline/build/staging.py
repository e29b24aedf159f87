"""The staging folder beside a store in the making: whose it is, and what stands in it.

Its mark is the first thing written and the last removed: whatever moment a process dies at, the same command
knows the folder as its own.
"""

import platform
from pathlib import Path

from mamp_pipeline.places import empty_folder, exists, make_folder, read, remove
from mamp_pipeline.store.files import write_whole
from mamp_pipeline.store.piece import Piece
from mamp_pipeline.store.piece_file import DamagedPieceError, read_piece
from mamp_schemas.errors import StoreError, StoreExistsError
from mamp_schemas.places import AnyPlace, Place

MARK = "plan"


def staging_of(out: AnyPlace) -> AnyPlace:
    """Return the staging folder of a store."""
    out = out.resolve()
    return out.with_name(f"{out.name}.staging")


def piece_path(staging: Place, number: int) -> Place:
    """Return where the piece of part `number` stands."""
    return staging / f"part-{number:06d}"


def receipt_path(staging: Place, number: int) -> Place:
    """Return where the receipt of shard `number` stands."""
    return staging / f"shard-{number:06d}.json"


def open_piece(path: Place, *, rows: bool = True) -> Piece:
    """Read a piece; a damaged one is removed, so that the next run makes it anew.

    Raises:
        DamagedPieceError: it is damaged or not there.
    """
    try:
        return read_piece(path, rows=rows)
    except DamagedPieceError:
        remove(path)
        raise


def read_mark(staging: Place) -> str | None:
    """Return the hash of the plan a staging folder belongs to, None where there is none."""
    try:
        return read(staging / MARK).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None


def expect_mark(staging: Place, plan: str) -> None:
    """Check that a staging folder is there and of a plan: a task may outlive the command that sent it.

    Raises:
        StoreError: it is not there as seen from here, or of another plan.
    """
    mark = read_mark(staging)
    if mark != plan:
        state = "is not there" if mark is None else "is of another plan"
        raise StoreError(
            f"{staging}: {state}, as seen from {platform.node()}",
            remedy="Every worker must see the output's folder under the same path, as one shared file system, or in "
            "the same bucket.",
        )


def claim(out: AnyPlace, plan: str, *, replacing: bool) -> AnyPlace:
    """Make the staging folder for this plan; what another plan left there is removed.

    Args:
        out: the store.
        plan: hash of the plan.
        replacing: whether a finished store stands at `out`, to be appended to or, being empty, to give way.

    Returns:
        The staging folder.

    Raises:
        StoreExistsError: something stands at `out` that is no store and that no ingest began.
    """
    staging = staging_of(out)
    mark = read_mark(staging)
    if mark is None and not replacing and _holds_something(out):
        raise StoreExistsError(
            f"{out}: something stands there that is no finished store and that this command did not begin",
            remedy="Choose another --out, or remove it.",
        )
    if mark not in (None, plan):
        empty_folder(staging, MARK)
    make_folder(staging)
    write_whole(staging / MARK, plan.encode())
    return staging


def discard(staging: Place) -> None:
    """Remove the staging folder, its mark last."""
    empty_folder(staging, MARK)
    remove(staging / MARK)
    if isinstance(staging, Path):
        staging.rmdir()


def _holds_something(out: Place) -> bool:
    return exists(out) and not (isinstance(out, Path) and out.is_dir() and not any(out.iterdir()))
