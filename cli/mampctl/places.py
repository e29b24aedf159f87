"""Where stores, manifests and runs stand when a command does not say: the data folder."""

import os
from pathlib import Path
from typing import get_args

from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import OutputError, UsageError
from mamp_schemas.output import output_errors
from mamp_schemas.places import StoragePath, parse_local_path, parse_storage_path
from mamp_schemas.recipes import Recipe
from mamp_schemas.store import StoreMetadata
from mampctl.console import print_note


def data_folder() -> Path:
    """Return $MAMPCTL_DATA, by default ./data."""
    return parse_local_path(os.environ.get("MAMPCTL_DATA") or "data")


def require_new_file(out: Path) -> None:
    """Make sure that a file can be written before the work for it begins; its folder is made.

    Raises:
        OutputError: it is there already, or its folder cannot be made.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already", remedy="Remove it or name another --out.")
    with output_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)


def default_store(dataset: DatasetName) -> Path:
    """Return where a dataset's store stands in the data folder."""
    return data_folder() / f"{dataset}.zarr"


def default_run_dir(recipe: Recipe, suffix: str = "") -> Path:
    """Return where a recipe's run stands in the data folder; a seed other than 0 is part of its name."""
    seed = f"-seed{recipe.seed}" if recipe.seed else ""
    return data_folder() / "runs" / f"{recipe.kind}-{recipe.name}{suffix}{seed}"


def find_store(store: str | None) -> StoragePath:
    """Return the store that a user names, or the one store of the data folder."""
    return find_only_store() if store is None else parse_storage_path(store)


def find_only_store() -> Path:
    """Return the one store of the data folder.

    Raises:
        UsageError: there is none, or there are several.
    """
    folder = data_folder()
    names = get_args(DatasetName)
    stores = [default_store(name) for name in names if default_store(name).exists()]
    if len(stores) == 1:
        print_note(f"store {stores[0]}")
        return stores[0]
    if not stores:
        raise UsageError(
            f"no store in {folder} (looked for {', '.join(f'{name}.zarr' for name in names)})",
            remedy="Name one with --store, set MAMPCTL_DATA, or make one: mampctl ingest DATASET --raw PATH",
        )
    raise UsageError(
        f"several stores in {folder}: {', '.join(store.name for store in stores)}", remedy="Name one with --store."
    )


def suggest_recipe_options(metadata: StoreMetadata, protocol: str) -> str:
    """Return the options that name a recipe for a store: its own, or another one and what differs."""
    from mamp_trainer.recipes import list_recipes

    name = f"{metadata.dataset}-{protocol}"
    if name in {recipe.name for recipe in list_recipes("pretrain")}:
        return f"--recipe {name}"
    base = "nwucla-small" if metadata.dataset == "custom" else "ntu60-xsub"
    changes = (f"dataset={metadata.dataset}", f"protocol={protocol}", f"model.joints={len(metadata.skeleton.joints)}")
    return " ".join((f"--recipe {base}", *(f"--set {change}" for change in changes)))
