"""What the commands that measure a trained network have in common: its recipe, its store, and where it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.measures import NetworkMeasurement
from mamp_schemas.places import parse_local_path
from mampctl.console import print_summary
from mampctl.training import default_recipe

if TYPE_CHECKING:
    from mamp_schemas.recipes import Recipe

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


def select_checkpoint(network: Path, best: bool) -> Path:
    """Return what was named, or its best epoch's checkpoint.

    Raises:
        UsageError: there is none.
    """
    if not best:
        return network
    from mamp_trainer.checkpoint.keep import best_checkpoint as best_of

    found = best_of(network)
    if found is None:
        raise UsageError(
            f"{network}: no checkpoint of a measured epoch is there",
            remedy="--best is for the folder of an evaluation's run.",
        )
    return found


def encoder_recipe(encoder: Path | None, name: str | None, store: str | None, set_: list[str] | None) -> "Recipe":
    """Return the recipe of an encoder, with the fields that the user changes: initial weights have a linear one's."""
    from mamp_trainer.origin import read_training_recipe
    from mamp_trainer.recipes import load_recipe, with_changes

    if encoder is None:
        return load_recipe("linear", name or default_recipe("linear", store), set_ or [])
    return with_changes(read_training_recipe(encoder, name), set_ or [], f"the recipe of {encoder}")


def print_measured_network(found: NetworkMeasurement, clips: str) -> None:
    """Print what is measured, on what, and how long it took."""
    print_summary(f"{found.network} (recipe {found.recipe}), {found.dataset} {found.protocol}", clips)
