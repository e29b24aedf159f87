"""Where stores, manifests and runs stand when a command does not say: the data folder."""

import os
from pathlib import Path

from mamp_schemas.datasets import DATASETS, DatasetName
from mamp_schemas.errors import UsageError
from mamp_schemas.recipes import Recipe
from mampctl.console import print_note


def data_folder() -> Path:
    """Return $MAMPCTL_DATA, by default ./data."""
    return Path(os.environ.get("MAMPCTL_DATA", "data"))


def default_store(dataset: DatasetName) -> Path:
    """Return where a dataset's store stands in the data folder."""
    return data_folder() / f"{dataset}.zarr"


def default_run(recipe: Recipe, suffix: str = "") -> Path:
    """Return where a recipe's run stands in the data folder; a seed other than 0 is part of its name."""
    seed = f"-seed{recipe.seed}" if recipe.seed else ""
    return data_folder() / "runs" / f"{recipe.kind}-{recipe.name}{suffix}{seed}"


def only_store() -> Path:
    """Return the one store of the data folder.

    Raises:
        UsageError: there is none, or there are several.
    """
    folder = data_folder()
    stores = [default_store(name) for name in DATASETS if default_store(name).exists()]
    if len(stores) == 1:
        print_note(f"store {stores[0]}")
        return stores[0]
    if not stores:
        raise UsageError(
            f"no store in {folder} (looked for {', '.join(f'{name}.zarr' for name in DATASETS)})",
            remedy="Name one with --store, set MAMPCTL_DATA, or make one: mampctl ingest DATASET --raw PATH",
        )
    raise UsageError(
        f"several stores in {folder}: {', '.join(store.name for store in stores)}", remedy="Name one with --store."
    )
