"""The staging folder beside an unfinished store: the paths inside it, and which ingest it belongs to."""

import platform
from pathlib import Path

from mamp_pipeline.store.staged_part import DamagedPartError, StagedPart, read_part
from mamp_pipeline.store.writer import WrittenShard
from mamp_schemas.errors import StoreError, StoreExistsError
from mamp_schemas.io.atomic import write_atomic
from mamp_schemas.io.storage import clear_folder, exists, make_folder, read_bytes, remove_file
from mamp_schemas.io.storage_path import StoragePath, StoragePathT
from mamp_schemas.models.base import Model
from mamp_schemas.models.sealed import dump_sealed_json, parse_sealed_json

OWNER_MARKER = "plan"


def staging_path(out: StoragePathT) -> StoragePathT:
    """Return the staging folder of a store."""
    out = out.resolve()
    return out.with_name(f"{out.name}.staging")


def staged_part_path(staging: StoragePath, number: int) -> StoragePath:
    """Return the path of the staged part of a number."""
    return staging / f"part-{number:06d}"


def shard_manifest_path(staging: StoragePath, number: int) -> StoragePath:
    """Return the path of the file that says that the shard of a number is written."""
    return staging / f"shard-{number:06d}.json"


class ShardManifest(Model):
    """Says that a shard is written.

    Attributes:
        table_digest: digest of the clip table that its rows belong to.
        shard: what was written.
    """

    table_digest: str
    shard: WrittenShard


def write_shard_manifest(path: StoragePath, manifest: ShardManifest) -> None:
    """Write a shard's manifest in one step."""
    write_atomic(path, dump_sealed_json(manifest))


def read_shard_manifest(path: StoragePath) -> ShardManifest | None:
    """Return a shard's manifest; None if there is none or it is damaged: the shard is then written again."""
    try:
        return parse_sealed_json(ShardManifest, read_bytes(path), str(path), StoreError)
    except (FileNotFoundError, StoreError):
        return None


def open_staged_part(path: StoragePath, *, rows: bool = True) -> StagedPart:
    """Read a staged part; a damaged one is removed, so that the next run parses its files again.

    Raises:
        DamagedPartError: it is damaged or missing.
    """
    try:
        return read_part(path, rows=rows)
    except DamagedPartError:
        remove_file(path)
        raise


def read_owner_marker(staging: StoragePath) -> str | None:
    """Return the digest of the plan that a staging folder belongs to; None for none."""
    try:
        return read_bytes(staging / OWNER_MARKER).decode(errors="replace")  # a damaged one is that of no plan
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_owner_marker(staging: StoragePath, plan_digest: str) -> None:
    """Check that a staging folder exists and belongs to a plan: a task may outlive the command that sent it.

    Raises:
        StoreError: this machine does not see it, or it belongs to another plan.
    """
    owner = read_owner_marker(staging)
    if owner != plan_digest:
        state = "is not there" if owner is None else "is of another plan"
        raise StoreError(
            f"{staging}: {state}, as seen from {platform.node()}",
            remedy="Every worker must see the output's folder under the same path, as one shared file system, or in "
            "the same bucket.",
        )


def open_staging(out: StoragePathT, plan_digest: str, *, replacing: bool) -> StoragePathT:
    """Make the staging folder of a plan; the leftovers of another plan are removed.

    Args:
        out: the store.
        plan_digest: digest of the plan.
        replacing: whether there is a finished store at `out`, to be extended or, if it is empty, replaced.

    Returns:
        The staging folder.

    Raises:
        StoreExistsError: there is something at `out` that is no store and that no ingest began.
    """
    staging = staging_path(out)
    owner = read_owner_marker(staging)
    if owner is None and not replacing and _is_occupied(out):
        raise StoreExistsError(
            f"{out}: something is there that is no finished store and that this command did not begin",
            remedy="Choose another --out, or remove it.",
        )
    if owner not in (None, plan_digest):
        clear_folder(staging, OWNER_MARKER)
    make_folder(staging)
    write_atomic(staging / OWNER_MARKER, plan_digest.encode())
    return staging


def remove_staging(staging: StoragePath) -> None:
    """Remove the staging folder, its owner marker last."""
    clear_folder(staging, OWNER_MARKER)
    remove_file(staging / OWNER_MARKER)
    if isinstance(staging, Path):
        staging.rmdir()


def _is_occupied(out: StoragePath) -> bool:
    return exists(out) and not (isinstance(out, Path) and out.is_dir() and not any(out.iterdir()))
