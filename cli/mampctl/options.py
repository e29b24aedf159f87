"""The arguments and options that several commands share, with their shell completion."""

from pathlib import Path
from typing import Annotated

import typer

from mamp_schemas.errors import MampctlError
from mamp_schemas.io.storage_path import parse_local_path, parse_storage_path
from mamp_schemas.models.policy import PolicyName
from mamp_schemas.models.recipe import task_names
from mamp_schemas.registry import DATASETS
from mampctl.defaults import data_folder

MAX_COMPLETED_CLIPS = 200
"""As many clip ids as are offered at once: a terminal holds no more."""


def complete_recipe(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the shipped recipes of the command's task; nothing for files, which the shell completes itself."""
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
    """Return the stores of the data folder, as paths; nothing for others, which the shell completes itself."""
    try:
        return _matching([str(path) for path in sorted(data_folder().glob("*.zarr"))], incomplete)
    except MampctlError:
        return []


def complete_clip(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return clips of the store that is named before them."""
    from mamp_schemas.io.store_reader import open_store

    try:
        place = parse_storage_path(ctx.params["store"])
        return _matching(open_store(place).ids, incomplete)[:MAX_COMPLETED_CLIPS] if isinstance(place, Path) else []
    except (MampctlError, KeyError, TypeError):
        return []


def _matching(names: "list[str] | tuple[str, ...]", incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="A recipe's name, a YAML file, or 'list'. [default: the store's dataset's]", autocompletion=complete_recipe
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The store. [default: the recipe's dataset's in $MAMPCTL_DATA]",
        autocompletion=complete_store,
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a recipe field: key=value, with dots. Repeatable.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        parser=parse_local_path, metavar="PATH", help="The run's folder. [default: $MAMPCTL_DATA/runs/TASK-RECIPE]"
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in its folder.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes cuda where there is one.")]
DevicesOption = Annotated[
    int | None, typer.Option(min=1, help="Work in so many processes here, each on a GPU of its own. [default: 1]")
]
ProfileOption = Annotated[int, typer.Option(min=0, help="Write a profile of so many steps into the run's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


EncoderArgument = Annotated[
    Path | None,
    typer.Argument(
        parser=parse_local_path,
        metavar="[ENCODER]",
        help="A run's folder, one of its checkpoints, or a released .pth; without it: initial weights.",
    ),
]
EncoderRecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", help="Of a released .pth or of initial weights: a recipe's name, or a YAML file."),
]
BestOption = Annotated[bool, typer.Option("--best", help="The run's best epoch instead of its last.")]


CheckpointArgument = Annotated[
    Path,
    typer.Argument(
        parser=parse_local_path,
        metavar="CHECKPOINT",
        help="A run's folder, one of its checkpoints, or a released .pth.",
    ),
]


ReleasedRecipeOption = Annotated[
    str | None, typer.Option("--recipe", help="Of a released .pth: its recipe's name, or a YAML file.")
]


PolicyOption = Annotated[
    PolicyName | None,
    typer.Option(help="Of released files and imported stores: how clips are cleaned. [default: as the run's; paper]"),
]


LayoutOption = Annotated[str | None, typer.Option(help="Of own recordings: their layout, as in ingest.")]


FromOption = Annotated[
    Path | None, typer.Option("--from", help="A run, a checkpoint or a released .pth; without it: initial weights.")
]


SplitProtocolOption = Annotated[
    str, typer.Option(help="Which protocol's train and test sides.", autocompletion=complete_protocol)
]


ExistingStoreOption = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="The store. [default: the one in $MAMPCTL_DATA]", autocompletion=complete_store),
]
