"""What a shell completes behind an option: recipes, protocols, stores and clips; without torch, in well under 0.5 s."""

from pathlib import Path
from typing import get_args

import typer

from mamp_schemas.errors import MampctlError
from mamp_schemas.places import parse_storage_path
from mamp_schemas.protocols import SplitProtocolName
from mampctl.places import data_folder

MAX_COMPLETED_CLIPS = 200
"""As many clip ids as are offered at once: a terminal holds no more."""


def complete_recipe(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the shipped recipes of the command's task; nothing for files, which the shell completes itself."""
    from mamp_trainer.recipes import recipe_names

    return _matching([*recipe_names(ctx.info_name or ""), "list"], incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Return the protocols that there are."""
    return _matching(get_args(SplitProtocolName), incomplete)


def complete_store(incomplete: str) -> list[str]:
    """Return the stores of the data folder, as paths; nothing for others, which the shell completes itself."""
    try:
        return _matching([str(path) for path in sorted(data_folder().glob("*.zarr"))], incomplete)
    except MampctlError:
        return []


def complete_clip(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return clips of the store that is named before them."""
    from mamp_pipeline.store.read import open_store

    try:
        place = parse_storage_path(ctx.params["store"])
        return _matching(open_store(place).ids, incomplete)[:MAX_COMPLETED_CLIPS] if isinstance(place, Path) else []
    except (MampctlError, KeyError, TypeError):
        return []


def _matching(names: "list[str] | tuple[str, ...]", incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
