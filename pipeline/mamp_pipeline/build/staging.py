"""The staging folder beside a store in the making: which pieces are there, and of which plan."""

import shutil
from pathlib import Path

from mamp_schemas.errors import StoreExistsError

PLAN_FILE = "plan"


def staging_of(out: Path) -> Path:
    """Return the staging folder of a store."""
    out = out.resolve()
    return out.with_name(f"{out.name}.staging")


def piece_path(staging: Path, number: int) -> Path:
    """Return where the piece of part `number` stands."""
    return staging / f"part-{number:06d}.npz"


def claim(out: Path, plan: str) -> Path:
    """Make the staging folder for this plan; pieces of another plan are removed.

    Args:
        out: the store to be.
        plan: hash of the plan.

    Returns:
        The staging folder.

    Raises:
        StoreExistsError: something stands at `out` that this ingest did not begin.
    """
    staging = staging_of(out)
    mark = staging / PLAN_FILE
    begun = mark.exists()
    if out.exists() and not begun and (not out.is_dir() or any(out.iterdir())):
        raise StoreExistsError(
            f"{out}: something stands there that is no finished store and that this command did not begin",
            remedy="Choose another --out, or remove it.",
        )
    if begun and mark.read_text() != plan:
        shutil.rmtree(staging)
    staging.mkdir(parents=True, exist_ok=True)
    mark.write_text(plan)
    return staging


def discard(staging: Path) -> None:
    """Remove the staging folder."""
    shutil.rmtree(staging)
