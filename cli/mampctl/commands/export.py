"""`mampctl export`: write a store's clips in the file formats of other projects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mampctl.defaults import find_store
from mampctl.options import JsonOption, OnlyStoreOption, OptionalSplitProtocolOption, SplitProtocolOption, path_option
from mampctl.output.console import print_json, print_summary
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_schemas.io.store_reader import Store
    from mamp_schemas.models.splits import SplitManifest


app = typer.Typer(help="Write a store's clips in the format of another project.", no_args_is_help=True)
OutFileOption = Annotated[Path, path_option("The file.")]


@app.command("npz")
def npz(
    protocol: SplitProtocolOption, out: OutFileOption, store: OnlyStoreOption = None, as_json: JsonOption = False
) -> None:
    """Write an .npz file.

    It has x, y and names of both splits: (clips, 300, 150) float32 and one-hot labels.
    """
    from mamp_pipeline.convert.npz import export_npz

    opened, manifest = _open(store, protocol)
    with show_progress() as progress:
        export_npz(opened, manifest, out, progress)
    _print_counts(out, manifest, as_json)


@app.command("h5")
def h5(
    protocol: SplitProtocolOption, out: OutFileOption, store: OnlyStoreOption = None, as_json: JsonOption = False
) -> None:
    """Write an HDF5 file.

    It has x, y, valid_x, valid_y, test_x, test_y and names: (clips, 300, 150) float32 and one-hot labels.
    """
    with needed_extras():
        from mamp_pipeline.convert.h5 import export_h5

    opened, manifest = _open(store, protocol)
    with show_progress() as progress:
        export_h5(opened, manifest, out, progress)
    _print_counts(out, manifest, as_json)


@app.command("pyskl")
def pyskl(
    out: OutFileOption,
    protocol: OptionalSplitProtocolOption = None,
    store: OnlyStoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a PYSKL pickle.

    It has splits and annotations, with keypoint (bodies, frames, joints, 3) float32.
    """
    from mamp_pipeline.convert.pyskl import export_pyskl
    from mamp_schemas.io.manifests import manifest_path, read_manifest
    from mamp_schemas.io.storage import is_file
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(find_store(store))
    known = [protocol.name for protocol in opened.metadata.dataset_spec().protocols]
    there = [name for name in known if is_file(manifest_path(opened.path, name))] or known[:1]
    wanted = [opened.metadata.dataset_spec().protocol(protocol).name] if protocol else there
    manifests = [read_manifest(opened, name) for name in wanted]
    with show_progress() as progress:
        export_pyskl(opened, manifests, out, progress)
    split_counts = {manifest.protocol: manifest.counts for manifest in manifests}
    if as_json:
        counted = {name: {"train": counts.train, "test": counts.test} for name, counts in split_counts.items()}
        print_json({"file": str(out), "splits": counted})
        return
    for name, counts in split_counts.items():
        print_summary(out, f"{name}, {counts.train:,} train and {counts.test:,} test clips")


def _open(store: str | None, protocol: str) -> "tuple[Store, SplitManifest]":
    from mamp_schemas.io.manifests import read_manifest
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(find_store(store))
    opened.metadata.dataset_spec().protocol(protocol)
    return opened, read_manifest(opened, protocol)


def _print_counts(out: Path, manifest: "SplitManifest", as_json: bool) -> None:
    counts = manifest.counts
    if as_json:
        print_json({"file": str(out), "train": counts.train, "test": counts.test})
        return
    print_summary(out, f"{manifest.protocol}, {counts.train:,} train and {counts.test:,} test clips")
