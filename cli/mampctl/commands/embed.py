"""`mampctl embed`: write an encoder's features of a store's clips to a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.io.atomic import require_new_file
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.splits import Split
from mampctl.defaults import encoder_recipe, select_encoder, store_of_recipe
from mampctl.options import (
    CheckpointOption,
    DeviceOption,
    DevicesOption,
    EncoderArgument,
    EncoderRecipeOption,
    JsonOption,
    SetOption,
    StoreOption,
    path_option,
)
from mampctl.output.console import count, print_json, print_summary
from mampctl.runtime.distributed import distributed_run
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_schemas.models.recipe import Recipe
    from mamp_trainer.protocols.evaluate import Features

    Writer = Callable[[Features, Mapping[str, str], Path], None]

_SPLITS: dict[str, tuple[Split, ...]] = {"train": ("train",), "test": ("test",), "both": ("train", "test")}


def embed(
    out: Annotated[Path, path_option("FILE.npz or FILE.h5.")],
    encoder: EncoderArgument = None,
    at: CheckpointOption = None,
    side: Annotated[Literal["train", "test", "both"], typer.Option(help="The split whose clips to take.")] = "both",
    recipe: EncoderRecipeOption = None,
    store: StoreOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an encoder's features of clips to a file.

    A clip's features are the mean of the encoder's output over bodies, segments and joints.
    """
    write = _choose_writer(out)

    def prepare() -> "tuple[Path | None, Recipe, StoragePath]":
        require_new_file(out)
        network = select_encoder(encoder, at)
        loaded = encoder_recipe(network, recipe, store, set_)
        return network, loaded, store_of_recipe(store, loaded)

    with distributed_run(prepare, device, devices) as ((network, loaded, store_path), context):
        from mamp_trainer.protocols.evaluate import embed_clips as make

        features, made_by = make(network, loaded, store_path, context, _SPLITS[side])
    if not context.dist_context.is_main:
        return
    write(features, made_by, out)
    clips, width = features.features.shape
    if as_json:
        print_json({"file": str(out), "clips": clips, "width": width, **made_by})
        return
    print_summary(out, f"clip, label, side and features of {count(clips, 'clip')}, {count(width, 'number')} each")


def _choose_writer(out: Path) -> "Writer":
    """Return the writer for the suffix of a file.

    Raises:
        UsageError: no format has this suffix.
        MissingExtraError: a package for this format is not installed.
    """
    if out.suffix == ".npz":
        return lambda features, metadata, path: features.write_npz(path, metadata)
    if out.suffix in (".h5", ".hdf5"):
        with needed_extras():
            from mamp_pipeline.convert.h5 import write_features

        return lambda features, metadata, path: write_features(path, features._asdict(), metadata)
    raise UsageError(f"--out {out}: no format ends in '{out.suffix}'", remedy="Name FILE.npz or FILE.h5.")
