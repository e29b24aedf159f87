"""Checks of the data folder: stores, their split manifests, and runs."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mamp_schemas.errors import IncompleteStoreError, MampctlError, ManifestError
from mampctl.doctor import Finding, finding_of_error

if TYPE_CHECKING:
    from mamp_schemas.io.run_files import Run
    from mamp_schemas.io.store_reader import Store


READER_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError)
"""Errors that readers may raise on damaged files; `doctor` reports them as a finding and goes on."""


def check_data(folder: Path) -> list[Finding]:
    """Check the stores and the runs of the data folder."""
    if not folder.is_dir():
        remedy = "Make a store with: mampctl ingest DATASET --raw PATH; or set MAMPCTL_DATA to their folder."
        return [Finding("warning", "data", f"{folder} does not exist yet", remedy)]
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".zarr")
    except OSError as problem:
        remedy = "Set MAMPCTL_DATA to a folder you may read."
        return [Finding("problem", "data", f"{folder}: {problem.strerror}", remedy)]
    stores = [finding for path in paths for finding in check_store(path)]
    if not paths:
        remedy = "Make one with: mampctl ingest DATASET --raw PATH"
        stores = [Finding("warning", "data", f"no store in {folder}", remedy)]
    return [*stores, *check_runs(folder / "runs")]


def check_store(path: Path) -> Iterator[Finding]:
    """Yield the findings on a store, and on the manifest of each of its protocols."""
    from mamp_schemas.io.store_reader import open_store

    try:
        store = open_store(path)
        metadata = store.metadata
        title, counts = metadata.dataset_spec().title, metadata.counts
        what = f"{title}, {counts.clips:,} clips, complete, format {metadata.format_version}"
        yield Finding("ok", "store", f"{path}: {what}")
        yield from (check_manifest(store, protocol.name) for protocol in metadata.dataset_spec().protocols)
    except IncompleteStoreError as problem:
        yield finding_of_error("warning", "store", problem)
    except MampctlError as problem:
        yield finding_of_error("problem", "store", problem)
    except READER_ERRORS as problem:
        reason = f"{path}: cannot be read ({type(problem).__name__}: {problem})"
        yield Finding("problem", "store", " ".join(reason.split()), "Remove the store and ingest again.")


def check_manifest(store: "Store", protocol: str) -> Finding:
    """Check that the manifest of a protocol is beside a store and belongs to it."""
    from mamp_schemas.io.manifests import manifest_path, read_manifest
    from mamp_schemas.io.storage import is_file

    path = manifest_path(store.path, protocol)
    if not is_file(path):
        words = ("mampctl", "build-splits", "--protocol", protocol, "--store", str(store.path))
        return Finding("warning", "split", f"{path}: no manifest of {protocol}", shlex.join(words))
    try:
        counts = read_manifest(store, protocol).counts
    except ManifestError as problem:
        return finding_of_error("problem", "split", problem)
    return Finding("ok", "split", f"{path}: {counts.train:,} train and {counts.test:,} test clips")


def check_runs(folder: Path) -> list[Finding]:
    """Check every run; complete ones are counted, each other one is a finding of its own."""
    from mamp_schemas.io.run_files import read_runs

    runs = read_runs([folder])
    complete = sum(run.state == "complete" for run in runs)
    summary = [Finding("ok", "runs", f"{complete} complete in {folder}")] if runs else []
    return [*summary, *(check_run(run) for run in runs if run.state != "complete")]


def check_run(run: "Run") -> Finding:
    """Report how to continue an incomplete run, or that its files are damaged."""
    from mamp_schemas.io.run_files import RECIPE_FILE, read_recipe_data
    from mamp_schemas.models.recipe import PRETRAIN

    if run.state == "damaged":
        return Finding("problem", "run", " ".join(run.problem.split()), "Remove run.json, then continue with --resume.")
    try:
        task = str(read_recipe_data(run.folder)["kind"])
    except (MampctlError, *READER_ERRORS):
        text = f"{run.folder}: not complete, and its recipe.yaml cannot be read"
        return Finding("problem", "run", text, "Remove the folder, or restore the recipe.yaml of its run.")
    words = ("mampctl", "train", task, "--recipe", str(run.folder / RECIPE_FILE), "--out", str(run.folder), "--resume")
    same = "the same --store" if task == PRETRAIN else "the same --store and --from"
    return Finding("warning", "run", f"{run.folder}: not complete", f"{shlex.join(words)}, with {same} if any")
