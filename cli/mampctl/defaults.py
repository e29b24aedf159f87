"""Defaults of options: data folder, store, recipe, run folder, layout."""

import logging
import os
from pathlib import Path
from shlex import quote

from mamp_schemas.builtin import BASE_RECIPE, PROBE_PROTOCOL, SMALL_BASE_RECIPE
from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import StoragePath, parse_local_path, parse_storage_path
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.recipe import PRETRAIN, EvaluationRecipe, Recipe, recipe_class
from mamp_schemas.models.store import StoreMetadata
from mamp_schemas.registry import DATASETS
from mamp_schemas.system import has_gpu
from mampctl.runtime.errors import needed_extras

logger = logging.getLogger(__name__)


def data_folder() -> Path:
    """Return $MAMPCTL_DATA, by default ./data."""
    return parse_local_path(os.environ.get("MAMPCTL_DATA") or "data")


def default_store(dataset: str) -> Path:
    """Return the path of a dataset's store in the data folder."""
    return data_folder() / f"{dataset}.zarr"


def default_run_dir(recipe: Recipe, suffix: str = "") -> Path:
    """Return the path of a recipe's run in the data folder; a seed other than 0 is part of its name."""
    seed = f"-seed{recipe.seed}" if recipe.seed else ""
    return data_folder() / "runs" / f"{recipe.kind}-{recipe.name}{suffix}{seed}"


def find_store(store: str | None) -> StoragePath:
    """Return the store that the user named, by default the only one in the data folder."""
    return find_only_store() if store is None else parse_storage_path(store)


def find_only_store() -> Path:
    """Return the only store in the data folder.

    Raises:
        UsageError: the folder has no store, or several.
    """
    folder = data_folder()
    stores = sorted(folder.glob("*.zarr"))
    if len(stores) == 1:
        logger.info(f"store {stores[0]}")
        return stores[0]
    if not stores:
        raise UsageError(
            f"no store in {folder} (looked for *.zarr)",
            remedy="Name one with --store, set MAMPCTL_DATA, or make one: mampctl ingest DATASET --raw PATH",
        )
    raise UsageError(
        f"several stores in {folder}: {', '.join(store.name for store in stores)}",
        remedy=f"Name one, such as --store {quote(str(stores[0]))}",
    )


def store_of_recipe(store: str | None, recipe: Recipe) -> StoragePath:
    """Return the store that the user named, by default that of the recipe's dataset in the data folder."""
    return parse_storage_path(store) if store else default_store(recipe.dataset)


def default_recipe(task: str, store: str | None) -> str:
    """Return the name of a task's recipe for a store's dataset and its first protocol.

    Raises:
        UsageError: there is no such recipe.
    """
    from mamp_schemas.io.store_reader import open_store
    from mamp_trainer.recipes import list_recipes

    names = [recipe.name for recipe in list_recipes(task)]
    model = recipe_class(task)
    if not names or (issubclass(model, EvaluationRecipe) and not model.has_default):
        remedy = f"Choose one: {', '.join(names)}" if names else "Name a YAML file: no recipe of this task is built in."
        raise UsageError(f"train {task} needs --recipe", remedy=remedy)
    found = find_store(store)
    metadata, quoted = open_store(found).metadata, quote(str(found))
    spec = metadata.dataset_spec()
    if not spec.protocols:
        raise UsageError(
            f"{spec.title} has no protocol, which says what is for training and what for testing",
            remedy="Add one to the layout as docs/own-data.md shows, and ingest again.",
        )
    protocol = spec.protocols[0].name
    name = f"{metadata.dataset}-{protocol}"
    if name not in names:
        raise UsageError(
            f"{spec.title} has no recipe of train {task}: name another one, and change its fields",
            remedy=f"For example: mampctl train {task} {suggest_recipe_options(metadata, protocol)} --store {quoted}",
        )
    return name


def select_checkpoint(network: Path, checkpoint: str | None, best: bool = False) -> Path:
    """Return the network that the user named, or another checkpoint of its run than the last.

    Args:
        network: the run's folder; where neither of the others is given, any network.
        checkpoint: an epoch, or a checkpoint's name.
        best: whether to take the best epoch.

    Raises:
        UsageError: both are given, or no epoch of the run was measured.
        CheckpointError: the run has no such checkpoint.
    """
    if checkpoint is not None:
        with needed_extras():
            from mamp_trainer.checkpoints.manager import find_checkpoint

        if best:
            raise UsageError("--best and --checkpoint name two checkpoints", remedy="Leave out one of them.")
        return find_checkpoint(network, checkpoint)
    if not best:
        return network
    from mamp_trainer.checkpoints.manager import best_checkpoint

    folder = best_checkpoint(network)
    if folder is None:
        raise UsageError(
            f"{network}: no checkpoint of an epoch with a test accuracy",
            remedy="--best is for the folder of an evaluation's run.",
        )
    return folder


def select_encoder(encoder: Path | None, checkpoint: str | None) -> Path | None:
    """Return the encoder that the user named, or another checkpoint of its run than the last; None for initial weights.

    Raises:
        UsageError: a checkpoint of no run.
        CheckpointError: the run has no such checkpoint.
    """
    if encoder is not None:
        return select_checkpoint(encoder, checkpoint)
    if checkpoint is not None:
        raise UsageError("--checkpoint needs a run", remedy="Name the folder of a run whose checkpoint it is.")
    return None


def encoder_recipe(encoder: Path | None, name: str | None, store: str | None, set_: list[str] | None) -> "Recipe":
    """Return the recipe of an encoder with the user's changes; initial weights take a linear recipe."""
    from mamp_trainer.checkpoints.provenance import read_training_recipe
    from mamp_trainer.recipes import load_recipe, with_changes

    if encoder is None:
        return load_recipe(PROBE_PROTOCOL, name or default_recipe(PROBE_PROTOCOL, store), set_ or [])
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


CPU_CLIPS = 300_000
"""Clips that the small network trains on in about an hour on a CPU, all epochs together."""


def suggest_recipe_options(metadata: StoreMetadata, protocol: str, gpu: bool | None = None) -> str:
    """Return the options that choose a recipe for a store: the built-in one, or another one with changed fields.

    Without a GPU it is the small network, for so many epochs as take an hour or less: the published one takes days.

    Args:
        metadata: the store's.
        protocol: of the split.
        gpu: whether there is a GPU; by default, whether this machine has one.
    """
    from mamp_trainer.recipes import data_options, load_recipe, recipe_names

    gpu = has_gpu() if gpu is None else gpu
    name = f"{metadata.dataset}-{protocol}"
    if gpu and name in recipe_names(PRETRAIN):
        return f"--recipe {name}"
    base = BASE_RECIPE if gpu and not (metadata.layout or metadata.spec) else SMALL_BASE_RECIPE
    recipe = load_recipe(PRETRAIN, base)
    epochs = recipe.schedule.epochs if gpu else min(recipe.schedule.epochs, CPU_CLIPS // max(metadata.counts.clips, 1))
    joints = len(metadata.skeleton.joints)
    options = data_options(recipe, dataset=metadata.dataset, protocol=protocol, joints=joints, epochs=epochs)
    return " ".join((f"--recipe {base}", *options))
