"""`mampctl import`: make a store from the files of other projects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.models.dataset import fixed_spec
from mamp_schemas.models.recipe import PRETRAIN
from mampctl.defaults import suggest_recipe_options
from mampctl.options import JsonOption, NewStoreOption, SplitProtocolOption, complete_dataset, path_argument
from mampctl.output.console import count, print_json, print_line, print_summary
from mampctl.output.hints import print_hint, suggest_next_command
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_pipeline.convert.source import ImportSource
    from mamp_schemas.progress import Progress


app = typer.Typer(help="Make a store from a file of another project.", no_args_is_help=True)

FileArgument = Annotated[Path, path_argument("FILE", "The file to read.")]


def _check_dataset(dataset: str | None) -> str | None:
    if dataset is None:
        return None
    if fixed_spec(dataset) is None:
        from mamp_pipeline.convert.source import OTHER_DATASET_REMEDY

        raise UsageError(f"--dataset {dataset}: an import takes no layout", remedy=OTHER_DATASET_REMEDY)
    return dataset


DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="The dataset. [default: the only one the file fits]",
        callback=_check_dataset,
        autocompletion=complete_dataset,
    ),
]


@app.command("npz")
def npz(
    file: FileArgument,
    out: NewStoreOption,
    protocol: SplitProtocolOption,
    dataset: DatasetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import an .npz file.

    Read are x_train, y_train, x_test and y_test, and names_train and names_test where the file has them.
    """
    from mamp_pipeline.convert.npz import read_npz

    with show_progress() as progress:
        _import_and_print(read_npz(file, dataset, protocol), out, as_json, progress)


@app.command("h5")
def h5(
    file: FileArgument,
    out: NewStoreOption,
    protocol: SplitProtocolOption,
    dataset: DatasetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import an HDF5 file.

    Read are x, y, valid_x, valid_y, test_x and test_y. Validation clips become part of the train split.
    """
    with needed_extras():
        from mamp_pipeline.convert.h5 import read_h5

    with show_progress() as progress:
        _import_and_print(read_h5(file, dataset, protocol), out, as_json, progress)


@app.command("pyskl")
def pyskl(file: FileArgument, out: NewStoreOption, dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """Import a PYSKL pickle of 3D annotations and splits.

    A pickle with anything else inside is refused before it is executed.
    """
    from mamp_pipeline.convert.pyskl import read_pyskl

    with show_progress() as progress:
        _import_and_print(read_pyskl(file, dataset), out, as_json, progress)


def _import_and_print(existing: "ImportSource", out: Path, as_json: bool, progress: "Progress") -> None:
    from mamp_pipeline.convert.importer import import_store
    from mamp_schemas.io.manifests import manifest_path
    from mamp_schemas.io.store_reader import open_store

    metadata = import_store(existing, out, progress)
    if as_json:
        print_json(metadata.model_dump(mode="json"))
        return
    counts = metadata.counts
    print_summary(
        out, f"{count(counts.clips, 'clip')}, {count(counts.rows, 'row')}, empty slot {metadata.policy.empty_slot}"
    )
    print_line(f"content hash {metadata.content_hash[:16]}")
    for split in existing.splits:
        name = split.protocol.name
        print_line(f"{manifest_path(out, name)}: {len(split.train):,} train, {len(split.test):,} test clips")
        if split.train and split.test:
            print_hint("train", PRETRAIN, *suggest_recipe_options(metadata, name).split(), "--store", out)
    if not any(split.train and split.test for split in existing.splits):
        print_hint(*suggest_next_command(open_store(out)))
