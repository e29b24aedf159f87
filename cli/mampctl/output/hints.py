"""Suggestions of the next command, ready to paste."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mamp_schemas.builtin import PROBE_PROTOCOL
from mamp_schemas.errors import ManifestError
from mamp_schemas.io.run_files import unused_run_dir
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import PRETRAIN, PretrainRecipe
from mampctl.defaults import default_run_dir, suggest_recipe_options
from mampctl.output.console import print_line

if TYPE_CHECKING:
    from mamp_schemas.io.store_reader import Store


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

    run = default_run_dir(load_recipe(str(words[1]), str(words[words.index("--recipe") + 1])))
    unused = unused_run_dir(run)
    return () if unused == run else ("--out", unused)
