"""Checks the data folder, that is stores, their split manifests, and runs."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mamp_schemas.errors import IncompleteStoreError, MampctlError, ManifestError
from mampctl.doctor.finding import Finding, finding_of_error

if TYPE_CHECKING:
    from mamp_schemas.io.run_files import Run
    from mamp_schemas.io.store_reader import Store


READER_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What damaged files may still bring about in the readers: a finding here, never the end of the doctor's visit."""


def check_data(folder: Path) -> list[Finding]:
    """Look through the data folder."""
    if not folder.is_dir():
        remedy = "Make a store with: mampctl ingest DATASET --raw PATH; or set MAMPCTL_DATA to where yours are."
        return [Finding("warning", "data", f"{folder} is not there yet", remedy)]
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
    """Yield what is to be said of a store and of each of its protocols."""
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
    """Look at a protocol's manifest beside a store."""
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
    """Look at every run; those that are complete are counted, the others told one by one."""
    from mamp_schemas.io.run_files import read_runs

    runs = read_runs([folder])
    complete = sum(run.state == "complete" for run in runs)
    found = [Finding("ok", "runs", f"{complete} complete in {folder}")] if runs else []
    return [*found, *(check_run(run) for run in runs if run.state != "complete")]


def check_run(run: "Run") -> Finding:
    """Tell how an incomplete run goes on, or that a record is damaged."""
    if run.state == "damaged":
        return Finding("problem", "run", " ".join(run.problem.split()), "Remove run.json, then go on with --resume.")
    recipe = run.folder / "recipe.yaml"
    try:
        task = str(yaml.safe_load(recipe.read_text(encoding="utf-8"))["kind"])
    except (*READER_ERRORS, yaml.YAMLError):
        text = f"{run.folder}: not complete, and its recipe.yaml cannot be read"
        return Finding("problem", "run", text, "Remove the folder, or give it the recipe.yaml of its run again.")
    words = ("mampctl", "train", task, "--recipe", str(recipe), "--out", str(run.folder), "--resume")
    same = "the same --store" if task == "pretrain" else "the same --store and --from"
    return Finding("warning", "run", f"{run.folder}: not complete", f"{shlex.join(words)}, with {same} if any")
