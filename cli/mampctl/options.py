"""The arguments and options that several commands share, with their shell completion."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mamp_schemas.errors import MampctlError
from mamp_schemas.io.storage_path import parse_local_path, parse_storage_path
from mamp_schemas.models.policy import PolicyName
from mamp_schemas.models.recipe import task_names
from mamp_schemas.registry import DATASETS
from mampctl.defaults import data_folder

MAX_COMPLETED_CLIPS = 200
"""The most clip ids that completion offers at once."""


def complete_recipe(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the built-in recipes of the command's task; the shell completes files itself."""
    from mamp_trainer.recipes import recipe_names

    return _matching([*recipe_names(ctx.info_name or ""), "list"], incomplete)


def complete_task(incomplete: str) -> list[str]:
    """Return the tasks that runs have."""
    return _matching(task_names(), incomplete)


def complete_dataset(incomplete: str) -> list[str]:
    """Return the registered datasets."""
    return _matching(DATASETS.names(), incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Return the split protocols of the in-tree datasets; those of others would have to be imported."""
    options = [DATASETS.options(name) for name in DATASETS.names() if DATASETS.entry(name).distribution is None]
    specs = [spec for spec in options if not spec.needs_layout]
    names = dict.fromkeys(protocol.name for spec in specs for protocol in spec.protocols)
    return _matching([*names], incomplete)


def complete_store(incomplete: str) -> list[str]:
    """Return the paths of the stores in the data folder; the shell completes other paths itself."""
    try:
        return _matching([str(path) for path in sorted(data_folder().glob("*.zarr"))], incomplete)
    except MampctlError:
        return []


def complete_clip(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return ids of clips of the store that is named before."""
    from mamp_schemas.io.store_reader import open_store

    try:
        path = parse_storage_path(ctx.params["store"])
        return _matching(open_store(path).ids, incomplete)[:MAX_COMPLETED_CLIPS] if isinstance(path, Path) else []
    except (MampctlError, KeyError, TypeError):
        return []


def path_option(help: str, *names: str) -> Any:
    """Return the declaration of an option that takes a local path; a URL is refused."""
    return typer.Option(*names, parser=parse_local_path, metavar="PATH", help=help)


def path_argument(metavar: str, help: str) -> Any:
    """Return the declaration of an argument that takes local paths; URLs are refused."""
    return typer.Argument(parser=parse_local_path, metavar=metavar, help=help)


def _matching(names: "list[str] | tuple[str, ...]", incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


# Stores and their splits

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="The store.", autocompletion=complete_store)]
_store_option = partial(typer.Option, metavar="PATH", autocompletion=complete_store)
StoreOption = Annotated[
    str | None, _store_option(help="The store. [default: the store of the recipe's dataset in $MAMPCTL_DATA]")
]
OnlyStoreOption = Annotated[str | None, _store_option(help="The store. [default: the only one in $MAMPCTL_DATA]")]
RunStoreOption = Annotated[
    str | None,
    _store_option(help="The store that the run was trained on. [default: that of its dataset in $MAMPCTL_DATA]"),
]
NewStoreOption = Annotated[Path, path_option("The store to write.", "--out")]
SplitProtocolOption = Annotated[
    str,
    typer.Option(
        "--protocol",
        help="The protocol that divides clips into train and test: xsub, xview or xset, as the dataset has them.",
        autocompletion=complete_protocol,
    ),
]
OptionalSplitProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="The protocol of the split. [default: all that have a manifest next to the store]",
        autocompletion=complete_protocol,
    ),
]


# Training

RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="A recipe's name, a YAML file, or 'list'. [default: the recipe for the store's dataset]",
        autocompletion=complete_recipe,
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a recipe field: key=value, with dots. Repeatable.")
]
RunDirOption = Annotated[
    Path | None, path_option("The run's folder. [default: $MAMPCTL_DATA/runs/TASK-RECIPE]", "--out")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the run in its folder.")]
FromOption = Annotated[
    Path | None,
    path_option("A run, a checkpoint or a released .pth. [default: an encoder with initial weights]", "--from"),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes cuda where there is one.")]
DevicesOption = Annotated[
    int | None, typer.Option(min=1, help="Use N processes on this machine, each on its own GPU. [default: 1]")
]
ProfileOption = Annotated[int, typer.Option(min=0, help="Write a profile of this many steps into the run's folder.")]


# Trained networks

CheckpointArgument = Annotated[
    Path, path_argument("CHECKPOINT", "A run's folder, one of its checkpoints, or a released .pth.")
]
EncoderArgument = Annotated[
    Path | None,
    path_argument(
        "[ENCODER]", "A run's folder, one of its checkpoints, or a released .pth. [default: initial weights]"
    ),
]
ReleasedRecipeOption = Annotated[
    str | None, typer.Option("--recipe", help="For a released .pth: its recipe's name, or a YAML file.")
]
EncoderRecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", help="For a released .pth or initial weights: a recipe's name, or a YAML file."),
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="EPOCH",
        help="Take the checkpoint of this epoch of the run, or of this name (step-00001234), instead of its last.",
    ),
]
BestOption = Annotated[bool, typer.Option("--best", help="Take the run's best epoch instead of its last.")]
PolicyOption = Annotated[
    PolicyName | None,
    typer.Option(help="For released files and imported stores: how clips are cleaned. [default: as the run's; paper]"),
]
LayoutOption = Annotated[
    str | None, typer.Option(help="For own recordings: a built-in layout's name, or a YAML file, as in ingest.")
]
