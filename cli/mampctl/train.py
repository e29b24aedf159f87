"""`mampctl train`: pre-training and linear evaluation."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mamp_schemas.errors import UsageError
from mamp_schemas.places import Place, parse_path, parse_place
from mamp_schemas.recipes import LinearRecipe, PretrainRecipe
from mampctl.console import print_json, print_line, print_table
from mampctl.places import default_run, default_store, named_store, recipe_options
from mampctl.sitting import sit_down

app = typer.Typer(help="Train on a store.", no_args_is_help=True)

RecipeOption = Annotated[
    str | None, typer.Option(help="A recipe's name, a YAML file, or 'list'. [default: the store's dataset's]")
]
StoreOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="The store. [default: the recipe's dataset's in $MAMPCTL_DATA]")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a recipe field: key=value, with dots. Repeatable.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(parser=parse_path, metavar="PATH", help="The run's folder. [default: $MAMPCTL_DATA/runs/TASK-RECIPE]"),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in its folder.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes cuda where there is one.")]
DevicesOption = Annotated[
    int | None, typer.Option(min=1, help="Train in so many processes here, each on a GPU of its own. [default: 1]")
]
ProfileOption = Annotated[int, typer.Option(min=0, help="Write a profile of so many steps into the run's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("pretrain")
def pretrain(
    recipe: RecipeOption = None,
    store: StoreOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    profile: ProfileOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Pre-train by masked motion prediction (section 3 of the paper)."""
    from mamp_trainer.recipes import load_recipe

    if recipe == "list":
        _list_recipes("pretrain", as_json)
        return

    def prepare() -> tuple[PretrainRecipe, Place, Path]:
        loaded = load_recipe("pretrain", recipe or _default_recipe(store), set_ or [])
        return loaded, _named(store, loaded), out or default_run(loaded)

    with sit_down(prepare, device, devices) as ((loaded, place, run), ranks, progress):
        from mamp_trainer.tasks.pretrain import pretrain as train

        progress.message(f"recipe {loaded.name}, store {place}, run {run}")
        result = train(
            loaded, place, run, resume=resume, device=device, progress=progress, ranks=ranks, profile=profile
        )
    if not ranks.first:
        return
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_line(f"{run}: {result.epochs} epochs, {result.steps:,} steps in {result.seconds:.1f} s")
    if result.first_loss is not None and result.last_loss is not None:
        print_line(f"mean loss of the first epoch {result.first_loss:.4f}, of the last {result.last_loss:.4f}")
    print_line(f"next: mampctl train linear {_probe_options(loaded)}--from {run} --store {place}")


@app.command("linear")
def linear(
    recipe: RecipeOption = None,
    store: StoreOption = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="A run, a checkpoint or a released .pth; without it: untrained.")
    ] = None,
    set_: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    profile: ProfileOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a linear classifier on a fixed encoder (section 4.3, linear evaluation)."""
    from mamp_trainer.recipes import load_recipe

    if recipe == "list":
        _list_recipes("linear", as_json)
        return

    def prepare() -> tuple[LinearRecipe, Place, Path]:
        loaded = load_recipe("linear", recipe or _default_recipe(store), set_ or [])
        return (
            loaded,
            _named(store, loaded),
            out or default_run(loaded, "" if from_ else "-untrained"),
        )

    with sit_down(prepare, device, devices) as ((loaded, place, run), ranks, progress):
        from mamp_trainer.tasks.linear import linear as train

        progress.message(f"recipe {loaded.name}, store {place}, run {run}")
        result = train(
            loaded,
            place,
            run,
            encoder_from=from_,
            resume=resume,
            device=device,
            progress=progress,
            ranks=ranks,
            profile=profile,
        )
    if not ranks.first:
        return
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_line(f"{run}: {result.epochs} epochs in {result.seconds:.1f} s, {result.clips:,} test clips")
    rows = [
        ("last", result.epochs, f"{result.last_top1:.2f}", f"{result.last_top5:.2f}"),
        ("best", result.best_epoch, f"{result.best_top1:.2f}", ""),
    ]
    print_table(rows, ("epoch", "number", "top-1 %", "top-5 %"))


def _named(store: str | None, recipe: PretrainRecipe | LinearRecipe) -> Place:
    """Return the store that the user named, by default the recipe's dataset's."""
    return parse_place(store) if store else default_store(recipe.dataset)


def _probe_options(pretrained: PretrainRecipe) -> str:
    """Return what names the linear recipe of a pre-training's name, with the data it was set to; nothing if none is."""
    from mamp_trainer.recipes import list_recipes

    known = {recipe.name: recipe for recipe in list_recipes("linear")}
    if pretrained.name not in known:
        return ""
    probe = known[pretrained.name]
    fields = {
        "dataset": (probe.dataset, pretrained.dataset),
        "protocol": (probe.protocol, pretrained.protocol),
        "model.joints": (probe.model.joints, pretrained.model.joints),
    }
    changes = (f"--set {field}={found} " for field, (own, found) in fields.items() if own != found)
    return f"--recipe {pretrained.name} {''.join(changes)}"


def _default_recipe(store: str | None) -> str:
    from mamp_trainer.data.open import open_store
    from mamp_trainer.recipes import list_recipes

    metadata = open_store(named_store(store)).metadata
    protocol = next((protocol.name for protocol in metadata.spec().protocols), "NAME")
    name = f"{metadata.dataset}-{protocol}"
    if name not in {recipe.name for recipe in list_recipes("pretrain")}:
        raise UsageError(
            f"{metadata.spec().title} has no recipe of its own: name one, and what differs",
            remedy=f"Say, {recipe_options(metadata, protocol)}",
        )
    return name


def _list_recipes(kind: Literal["pretrain", "linear"], as_json: bool) -> None:
    from mamp_trainer.recipes import list_recipes

    if as_json:
        print_json([recipe.model_dump(mode="json") for recipe in list_recipes(kind)])
        return
    recipes = list_recipes(kind)
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        print_line(f"{recipe.name:<{width}}  {recipe.summary}")
