"""What a command uses when an option is not given, such as the data folder, store, recipe, run folder and layout."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import StoragePath, parse_local_path, parse_storage_path
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.recipe import EvaluationRecipe, Recipe, recipe_class
from mamp_schemas.registry import DATASETS
from mampctl.output.hints import suggest_recipe_options

if TYPE_CHECKING:
    from mamp_schemas.models.recipe import Recipe
if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)


def data_folder() -> Path:
    """Return $MAMPCTL_DATA, by default ./data."""
    return parse_local_path(os.environ.get("MAMPCTL_DATA") or "data")


def default_store(dataset: str) -> Path:
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
    names = DATASETS.names()
    stores = [default_store(name) for name in names if default_store(name).exists()]
    if len(stores) == 1:
        logger.info(f"store {stores[0]}")
        return stores[0]
    if not stores:
        raise UsageError(
            f"no store in {folder} (looked for {', '.join(f'{name}.zarr' for name in names)})",
            remedy="Name one with --store, set MAMPCTL_DATA, or make one: mampctl ingest DATASET --raw PATH",
        )
    raise UsageError(
        f"several stores in {folder}: {', '.join(store.name for store in stores)}", remedy="Name one with --store."
    )


def store_of_recipe(store: str | None, recipe: Recipe) -> StoragePath:
    """Return the store that the user named, by default the recipe's dataset's."""
    return parse_storage_path(store) if store else default_store(recipe.dataset)


def default_recipe(task: str, store: str | None) -> str:
    """Return the name of a task's recipe for a store's dataset and its first protocol.

    Raises:
        UsageError: it has none.
    """
    from mamp_schemas.io.store_reader import open_store
    from mamp_trainer.recipes import list_recipes as find

    names = [recipe.name for recipe in find(task)]
    model = recipe_class(task)
    if not names or (issubclass(model, EvaluationRecipe) and not model.has_default):
        remedy = f"Choose one: {', '.join(names)}" if names else "Name a YAML file: no recipe of this task is built in."
        raise UsageError(f"train {task} needs --recipe", remedy=remedy)
    metadata = open_store(find_store(store)).metadata
    protocol = next((protocol.name for protocol in metadata.dataset_spec().protocols), "NAME")
    name = f"{metadata.dataset}-{protocol}"
    if name not in names:
        raise UsageError(
            f"{metadata.dataset_spec().title} has no recipe of its own: name one, and what differs",
            remedy=f"Say, {suggest_recipe_options(metadata, protocol)}",
        )
    return name


def select_checkpoint(network: Path, best: bool) -> Path:
    """Return what was named, or its best epoch's checkpoint.

    Raises:
        UsageError: there is none.
    """
    if not best:
        return network
    from mamp_trainer.checkpoints.manager import best_checkpoint as best_of

    found = best_of(network)
    if found is None:
        raise UsageError(
            f"{network}: no checkpoint of a measured epoch is there",
            remedy="--best is for the folder of an evaluation's run.",
        )
    return found


def encoder_recipe(encoder: Path | None, name: str | None, store: str | None, set_: list[str] | None) -> "Recipe":
    """Return the recipe of an encoder, with the fields that the user changes: initial weights have a linear one's."""
    from mamp_trainer.checkpoints.provenance import read_training_recipe
    from mamp_trainer.recipes import load_recipe, with_changes

    if encoder is None:
        return load_recipe("linear", name or default_recipe("linear", store), set_ or [])
    return with_changes(read_training_recipe(encoder, name), set_ or [], f"the recipe of {encoder}")


def find_layout(dataset: str, name_or_file: str | None) -> Layout | None:
    """Return the layout of own recordings; None for a dataset with a format of its own.

    Raises:
        UsageError: own recordings without a layout, or another dataset with one.
    """
    from mamp_pipeline.datasets.custom.layouts import list_layouts, load_layout

    layout = load_layout(name_or_file) if name_or_file else None
    options = DATASETS.options(dataset)
    if options.needs_layout and layout is None:
        remedy = f"--layout takes a YAML file (see docs/own-data.md) or one of: {', '.join(list_layouts())}"
        raise UsageError("own recordings need a layout", remedy=remedy)
    options.with_layout(layout)
    return layout
