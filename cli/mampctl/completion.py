"""What a shell completes behind an option: recipes, protocols, stores and clips; without torch, in well under 0.5 s."""

from pathlib import Path
from typing import get_args

import typer

from mamp_schemas.errors import MampctlError
from mamp_schemas.places import parse_place
from mamp_schemas.protocols import ProtocolName
from mampctl.places import data_folder

CLIPS = 200
"""As many clip ids as are offered at once: a terminal holds no more."""


def complete_recipe(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the shipped recipes of the command's task; nothing for files, which the shell completes itself."""
    from mamp_trainer.recipes import recipe_names

    return _fitting([*recipe_names(ctx.info_name or ""), "list"], incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Return the protocols that there are."""
    return _fitting(get_args(ProtocolName), incomplete)


def complete_store(incomplete: str) -> list[str]:
    """Return the stores of the data folder, as paths; nothing for others, which the shell completes itself."""
    try:
        return _fitting([str(path) for path in sorted(data_folder().glob("*.zarr"))], incomplete)
    except MampctlError:
        return []


def complete_clip(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return clips of the store that is named before them."""
    from mamp_pipeline.store.read import open_store

    try:
        place = parse_place(ctx.params["store"])
        return _fitting(open_store(place).ids, incomplete)[:CLIPS] if isinstance(place, Path) else []
    except (MampctlError, KeyError, TypeError):
        return []


def _fitting(names: "list[str] | tuple[str, ...]", incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
