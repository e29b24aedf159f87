"""Where stores, manifests and runs stand when a command does not say: the data folder."""

import os
from pathlib import Path
from typing import get_args

from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import UsageError
from mamp_schemas.store import StoreMetadata


def data_folder() -> Path:
    """Return $MAMPCTL_DATA, by default ./data."""
    return Path(os.environ.get("MAMPCTL_DATA", "data"))


def default_store(dataset: DatasetName) -> Path:
    """Return where a dataset's store stands in the data folder."""
    return data_folder() / f"{dataset}.zarr"


def only_store() -> Path:
    """Return the one store of the data folder.

    Raises:
        UsageError: there is none, or there are several.
    """
    folder = data_folder()
    names = get_args(DatasetName)
    stores = [default_store(name) for name in names if default_store(name).exists()]
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise UsageError(
            f"no store in {folder} (looked for {', '.join(f'{name}.zarr' for name in names)})",
            remedy="Name one with --store, set MAMPCTL_DATA, or make one: mampctl ingest DATASET --raw PATH",
        )
    raise UsageError(
        f"several stores in {folder}: {', '.join(store.name for store in stores)}", remedy="Name one with --store."
    )


def recipe_options(metadata: StoreMetadata) -> str:
    """Return what names a recipe for a store: nothing for the known datasets, which have recipes of their own."""
    if metadata.dataset != "custom":
        return ""
    return f"--recipe nwucla-small --set dataset=custom --set model.joints={len(metadata.skeleton.joints)} "
