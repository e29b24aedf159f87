"""The data folder: stores, their split manifests, and runs."""

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mamp_schemas.errors import IncompleteStoreError, MampctlError, ManifestError
from mampctl.health.finding import Finding, finding_of_error

if TYPE_CHECKING:
    from mamp_pipeline.store.read import Store
    from mamp_trainer.ledger.runs import Run

CREDENTIAL_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_URL_PASSWORD = re.compile(r"//[^/@\s]*@")
"""What a URL has in front of its host: no finding repeats it."""

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
    from mamp_pipeline.store.read import open_store

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
    from mamp_pipeline.places import is_file
    from mamp_pipeline.splits import manifest_path, read_manifest

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
    from mamp_trainer.ledger.runs import read_runs

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


def _is_mampctl_variable(name: str) -> bool:
    return name.startswith("MAMPCTL_")


def check_environment(unknown: Collection[str], environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Name the variables that commands go by; of credentials only whether they are there, never what they are.

    Args:
        unknown: those that are named like ours and stand for nothing, see `list_unknown`; whatever they hold is theirs.
        environment: all that are set.
    """
    known = {name: value for name, value in sorted(environment.items()) if _is_mampctl_variable(name) and name not in unknown}
    own = [f"{name}={_URL_PASSWORD.sub('//…@', value)}" for name, value in known.items()]
    there = [name for name in CREDENTIAL_VARIABLES if environment.get(name)]
    if len(there) == 1:
        remedy = f"Set {' and '.join(CREDENTIAL_VARIABLES)} both, or neither."
        buckets = Finding("warning", "buckets", f"only {there[0]} is set", remedy)
    else:
        endpoint = ", AWS_ENDPOINT_URL too" if environment.get("AWS_ENDPOINT_URL") else ""
        text = f"credentials are set{endpoint}" if there else "no credentials in AWS_...: s3:// needs them"
        buckets = Finding("ok", "buckets", text)
    return [Finding("ok", "variables", ", ".join(own) or "no MAMPCTL_... is set"), buckets]
