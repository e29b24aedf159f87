"""`mampctl train`: pre-training here, the protocols of evaluation in `train_protocols`."""

from pathlib import Path

import typer

from mamp_schemas.places import StoragePath
from mamp_schemas.recipes import PretrainRecipe
from mampctl.console import print_json, print_line, print_hint, print_summary, run_id
from mampctl.places import default_run_dir
from mampctl.sitting import distributed_run
from mampctl.train_protocols import add_protocol_commands
from mampctl.training import (
    DeviceOption,
    DevicesOption,
    JsonOption,
    OutOption,
    ProfileOption,
    RecipeOption,
    ResumeOption,
    SetOption,
    StoreOption,
    default_recipe,
    print_recipes,
    store_of_recipe,
)

app = typer.Typer(help="Train on a store.", no_args_is_help=True)


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
        print_recipes("pretrain", as_json)
        return

    def prepare() -> tuple[PretrainRecipe, StoragePath, Path]:
        loaded = load_recipe("pretrain", recipe or default_recipe("pretrain", store), set_ or [])
        return loaded, store_of_recipe(store, loaded), out or default_run_dir(loaded)

    with distributed_run(prepare, device, devices) as ((loaded, place, run), ranks, progress):
        from mamp_trainer.tasks.pretrain import pretrain as train

        progress.message(f"recipe {loaded.name}, store {place}, run {run}")
        result = train(
            loaded,
            place,
            run,
            resume=resume,
            device=device,
            progress=progress,
            dist_context=ranks,
            profile=profile,
            run_id=run_id(),
        )
    if not ranks.is_main:
        return
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_summary(run, f"{result.epochs} epochs, {result.steps:,} steps")
    if result.first_loss is not None and result.last_loss is not None:
        print_line(f"mean loss of the first epoch {result.first_loss:.4f}, of the last {result.last_loss:.4f}")
    print_hint("train", "linear", *suggest_linear_options(loaded).split(), "--from", run, "--store", place)


def suggest_linear_options(pretrained: PretrainRecipe) -> str:
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


add_protocol_commands(app)
