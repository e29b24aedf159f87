"""The staging folder beside a store in the making, which ingest owns it, and the paths inside it."""

import platform
from pathlib import Path

from mamp_pipeline.store.staged_part import DamagedPartError, StagedPart, read_part
from mamp_schemas.errors import StoreError, StoreExistsError
from mamp_schemas.io.atomic import write_atomic
from mamp_schemas.io.storage import clear_folder, exists, make_folder, read_bytes, remove_file
from mamp_schemas.io.storage_path import StoragePath, StoragePathT

OWNER_MARKER = "plan"


def staging_path(out: StoragePathT) -> StoragePathT:
    """Return the staging folder of a store."""
    out = out.resolve()
    return out.with_name(f"{out.name}.staging")


def staged_part_path(staging: StoragePath, number: int) -> StoragePath:
    """Return where the piece of part `number` stands."""
    return staging / f"part-{number:06d}"


def shard_manifest_path(staging: StoragePath, number: int) -> StoragePath:
    """Return where the receipt of shard `number` stands."""
    return staging / f"shard-{number:06d}.json"


def open_staged_part(path: StoragePath, *, rows: bool = True) -> StagedPart:
    """Read a piece; a damaged one is removed, so that the next run makes it anew.

    Raises:
        DamagedPieceError: it is damaged or not there.
    """
    try:
        return read_part(path, rows=rows)
    except DamagedPartError:
        remove_file(path)
        raise


def read_owner_marker(staging: StoragePath) -> str | None:
    """Return the hash of the plan a staging folder belongs to, None where there is none."""
    try:
        return read_bytes(staging / OWNER_MARKER).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_owner_marker(staging: StoragePath, plan: str) -> None:
    """Check that a staging folder is there and of a plan: a task may outlive the command that sent it.

    Raises:
        StoreError: it is not there as seen from here, or of another plan.
    """
    mark = read_owner_marker(staging)
    if mark != plan:
        state = "is not there" if mark is None else "is of another plan"
        raise StoreError(
            f"{staging}: {state}, as seen from {platform.node()}",
            remedy="Every worker must see the output's folder under the same path, as one shared file system, or in "
            "the same bucket.",
        )


def acquire(out: StoragePathT, plan: str, *, replacing: bool) -> StoragePathT:
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
    staging = staging_path(out)
    mark = read_owner_marker(staging)
    if mark is None and not replacing and _is_occupied(out):
        raise StoreExistsError(
            f"{out}: something stands there that is no finished store and that this command did not begin",
            remedy="Choose another --out, or remove it.",
        )
    if mark not in (None, plan):
        clear_folder(staging, OWNER_MARKER)
    make_folder(staging)
    write_atomic(staging / OWNER_MARKER, plan.encode())
    return staging


def remove_staging(staging: StoragePath) -> None:
    """Remove the staging folder, its mark last."""
    clear_folder(staging, OWNER_MARKER)
    remove_file(staging / OWNER_MARKER)
    if isinstance(staging, Path):
        staging.rmdir()


def _is_occupied(out: StoragePath) -> bool:
    return exists(out) and not (isinstance(out, Path) and out.is_dir() and not any(out.iterdir()))
