"""What the training commands have in common: their options, and what these name."""

from pathlib import Path
from typing import Annotated

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.places import StoragePath, parse_local_path, parse_storage_path
from mamp_schemas.recipes import Recipe, Task
from mampctl.completion import complete_recipe, complete_store
from mampctl.console import print_json, print_line
from mampctl.places import default_store, find_store, suggest_recipe_options

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
    typer.Option(parser=parse_local_path, metavar="PATH", help="The run's folder. [default: $MAMPCTL_DATA/runs/TASK-RECIPE]"),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in its folder.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes cuda where there is one.")]
DevicesOption = Annotated[
    int | None, typer.Option(min=1, help="Work in so many processes here, each on a GPU of its own. [default: 1]")
]
ProfileOption = Annotated[int, typer.Option(min=0, help="Write a profile of so many steps into the run's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_recipes(task: Task, as_json: bool) -> None:
    """Print the shipped recipes of a task, one line each."""
    from mamp_trainer.recipes import list_recipes as find

    recipes = find(task)
    if as_json:
        print_json([recipe.model_dump(mode="json") for recipe in recipes])
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        print_line(f"{recipe.name:<{width}}  {recipe.summary}")


def store_of_recipe(store: str | None, recipe: Recipe) -> StoragePath:
    """Return the store that the user named, by default the recipe's dataset's."""
    return parse_storage_path(store) if store else default_store(recipe.dataset)


def default_recipe(task: Task, store: str | None) -> str:
    """Return the name of a task's recipe for a store's dataset and its first protocol.

    Raises:
        UsageError: it has none.
    """
    from mamp_trainer.data.open import open_store
    from mamp_trainer.recipes import list_recipes as find

    names = [recipe.name for recipe in find(task)]
    if task in ("semi", "transfer"):
        raise UsageError(f"train {task} needs --recipe", remedy=f"Choose one: {', '.join(names)}")
    metadata = open_store(find_store(store)).metadata
    protocol = next((protocol.name for protocol in metadata.dataset_spec().protocols), "NAME")
    name = f"{metadata.dataset}-{protocol}"
    if name not in names:
        raise UsageError(
            f"{metadata.dataset_spec().title} has no recipe of its own: name one, and what differs",
            remedy=f"Say, {suggest_recipe_options(metadata, protocol)}",
        )
    return name
