"""Suggestions of the next command, ready to paste."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mamp_schemas.builtin import BASE_RECIPE, PROBE_PROTOCOL, SMALL_BASE_RECIPE
from mamp_schemas.errors import ManifestError
from mamp_schemas.io.run_files import unused_run_dir
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import PRETRAIN, PretrainRecipe
from mamp_schemas.models.store import StoreMetadata
from mamp_schemas.system import has_gpu
from mampctl.output.console import print_line

if TYPE_CHECKING:
    from mamp_schemas.io.store_reader import Store


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
    from mamp_trainer.recipes import load_recipe, recipe_names

    gpu = has_gpu() if gpu is None else gpu
    name = f"{metadata.dataset}-{protocol}"
    if gpu and name in recipe_names(PRETRAIN):
        return f"--recipe {name}"
    base = BASE_RECIPE if gpu and not (metadata.layout or metadata.spec) else SMALL_BASE_RECIPE
    recipe = load_recipe(PRETRAIN, base)
    epochs = recipe.schedule.epochs if gpu else min(recipe.schedule.epochs, CPU_CLIPS // max(metadata.counts.clips, 1))
    changes = {
        "dataset": (recipe.dataset, metadata.dataset),
        "protocol": (recipe.protocol, protocol),
        "model.joints": (recipe.model.joints, len(metadata.skeleton.joints)),
        "schedule.epochs": (recipe.schedule.epochs, max(epochs, 2)),
        "schedule.warmup_epochs": (recipe.schedule.warmup_epochs, min(recipe.schedule.warmup_epochs, epochs // 4)),
    }
    options = (f"--set {field}={value}" for field, (default, value) in changes.items() if value != default)
    return " ".join((f"--recipe {base}", *options))


def suggest_next_command(store: "Store") -> tuple[object, ...]:
    """Return the words of the next command for a store: a split into train and test, then pre-training.

    A store that no protocol divides cannot be split: the next command shows it.
    """
    from mamp_pipeline.splits import dividing_protocols
    from mamp_schemas.io.manifests import read_manifest

    if not store.ids:
        return "info", store.path
    names = dividing_protocols(store)
    for protocol in store.metadata.dataset_spec().protocols:
        with suppress(ManifestError):  # there is none, or that of what the store held before an append
            manifest = read_manifest(store, protocol.name)
            if manifest.train and manifest.test:
                options = suggest_recipe_options(store.metadata, protocol.name).split()
                return "train", PRETRAIN, *options, "--store", store.path
    if names:
        return "build-splits", "--protocol", names[0], "--store", store.path
    return "report", store.path, "--out", "report.html"


def suggest_evaluation(pretrained: PretrainRecipe, run: Path, store: StoragePath) -> tuple[object, ...]:
    """Return the words of the next command for a pre-training: a linear evaluation, or features of unlabelled clips."""
    from mamp_schemas.io.store_reader import open_store
    from mamp_trainer.recipes import probe_options

    if not open_store(store).metadata.dataset_spec().classes:
        return "embed", run, "--store", store, "--out", "features.npz"
    return "train", PROBE_PROTOCOL, *probe_options(pretrained), "--from", run, "--store", store


def print_hint(*words: object) -> None:
    """Print the suggested next command, quoted for a shell; a training gets an unused folder."""
    print_line(f"next: mampctl {shlex.join(map(str, (*words, *_unused_out(words))))}")


def _unused_out(words: tuple[object, ...]) -> tuple[object, ...]:
    """Return `--out` with an unused folder where the default one of a suggested training already holds something."""
    if words[0] != "train" or "list" in words:
        return ()
    from mamp_trainer.recipes import load_recipe
    from mampctl.defaults import default_run_dir

    run = default_run_dir(load_recipe(str(words[1]), str(words[words.index("--recipe") + 1])))
    unused = unused_run_dir(run)
    return () if unused == run else ("--out", unused)
