"""`mampctl train`: pre-training, and the evaluation protocols of section 4.3."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mamp_schemas.errors import CheckpointError, UsageError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import FinetuneRecipe, PretrainRecipe
from mamp_schemas.models.results import EvaluationResult, Spread
from mampctl.defaults import default_recipe, default_run_dir, store_of_recipe
from mampctl.options import (
    DeviceOption,
    DevicesOption,
    FromOption,
    JsonOption,
    ProfileOption,
    RecipeOption,
    ResumeOption,
    RunDirOption,
    SetOption,
    StoreOption,
)
from mampctl.output.console import print_json, print_line, print_summary, print_table
from mampctl.output.hints import print_hint, suggest_linear_options
from mampctl.output.log import run_id
from mampctl.runtime.distributed import distributed_run

if TYPE_CHECKING:
    from mamp_trainer.protocols.classifier import ClassifierRecipe

logger = logging.getLogger(__name__)


def print_recipes(task: str, as_json: bool) -> None:
    """Print the shipped recipes of a task, one line each."""
    from mamp_trainer.recipes import list_recipes as find

    recipes = find(task)
    if as_json:
        print_json([recipe.model_dump(mode="json") for recipe in recipes])
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        print_line(f"{recipe.name:<{width}}  {recipe.summary}")


EvaluationTask = Literal["linear", "finetune", "semi", "transfer"]
RecipeAndFolder = tuple["ClassifierRecipe", Path]
"""One run: its recipe and its folder."""

COMMAND_HELP: dict[EvaluationTask, str] = {
    "linear": "Train a linear classifier on a fixed encoder (section 4.3, linear evaluation).",
    "finetune": "Train encoder and classifier together, or from scratch (section 4.3, fine-tuned evaluation).",
    "transfer": "Fine-tune an encoder that another dataset pre-trained (section 4.3, transfer learning).",
}


def add_protocol_commands(app: typer.Typer) -> None:
    """Add a command for each protocol; what differs between them stands in their recipes."""
    for task, purpose in COMMAND_HELP.items():
        app.command(task, help=purpose)(_make_command(task))
    app.command("semi")(semi)


def _make_command(task: EvaluationTask) -> Callable[..., None]:
    def command(
        recipe: RecipeOption = None,
        store: StoreOption = None,
        from_: FromOption = None,
        set_: SetOption = None,
        out: RunDirOption = None,
        resume: ResumeOption = False,
        device: DeviceOption = "auto",
        devices: DevicesOption = None,
        profile: ProfileOption = 0,
        as_json: JsonOption = False,
    ) -> None:
        if recipe == "list":
            print_recipes(task, as_json)
            return

        def prepare() -> tuple[StoragePath, list[RecipeAndFolder]]:
            check_encoder_option(task, from_)
            loaded = _load_recipe(task, recipe, store, set_)
            return store_of_recipe(store, loaded), [
                (loaded, out or default_run_dir(loaded, _run_dir_suffix(loaded, from_)))
            ]

        results = _train_runs(prepare, from_, resume, device, devices, profile)
        for run, result in results:
            if as_json:
                print_json(result.model_dump(mode="json"))
            else:
                _print_result(run, result, store)

    return command


def semi(
    recipe: RecipeOption = None,
    store: StoreOption = None,
    from_: FromOption = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train on draws 1 to N of the training clips, a run each. [default: the recipe's one]"
        ),
    ] = None,
    set_: SetOption = None,
    out: RunDirOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    profile: ProfileOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune on a part of the labels (section 4.3, semi-supervised evaluation: the mean of five draws)."""
    if recipe == "list":
        print_recipes("semi", as_json)
        return

    def prepare() -> tuple[StoragePath, list[RecipeAndFolder]]:
        check_encoder_option("semi", from_)
        loaded = _load_recipe("semi", recipe, store, set_)
        folder = out or default_run_dir(loaded, _run_dir_suffix(loaded, from_))
        place = store_of_recipe(store, loaded)
        return place, [(loaded, folder)] if draws is None else _runs_of_draws(loaded, folder, draws)

    results = _train_runs(prepare, from_, resume, device, devices, profile)
    if not results:
        return
    if as_json:
        print_json(_draws_json([result for _, result in results]))
    elif len(results) == 1:
        _print_result(*results[0], store)
    else:
        _print_draws(results)


def check_encoder_option(task: EvaluationTask, from_: Path | None) -> None:
    """Make sure, before anything heavy is imported, that what `--from` names is there.

    Raises:
        UsageError: transfer has none.
        CheckpointError: it is not there.
    """
    if from_ is None and task == "transfer":
        raise UsageError("train transfer needs an encoder", remedy="Name a pre-training run, say, with --from.")
    if from_ is not None and not from_.exists():
        raise CheckpointError(f"--from {from_}: there is nothing", remedy="`mampctl runs list` shows what was trained.")


def _load_recipe(
    task: EvaluationTask, recipe: str | None, store: str | None, set_: list[str] | None
) -> "ClassifierRecipe":
    from mamp_trainer.recipes import load_evaluation_recipe

    name = recipe or default_recipe(task, store)
    return load_evaluation_recipe(task, name, set_ or [])


def _run_dir_suffix(recipe: "ClassifierRecipe", from_: Path | None) -> str:
    """Return what tells a run without an encoder from one with it, in its folder's name."""
    if from_ is not None:
        return ""
    if recipe.kind == "linear":
        return "-untrained"
    return "" if recipe.name.endswith("-scratch") else "-scratch"


def _runs_of_draws(recipe: "ClassifierRecipe", folder: Path, draws: int) -> list[RecipeAndFolder]:
    if not isinstance(recipe, FinetuneRecipe) or recipe.subset is None:
        return [(recipe, folder)]
    return [
        (recipe.replaced(subset=recipe.subset.replaced(draw=draw)), folder / f"draw-{draw}")
        for draw in range(1, draws + 1)
    ]


def _train_runs(
    prepare: Callable[[], tuple[StoragePath, list[RecipeAndFolder]]],
    from_: Path | None,
    resume: bool,
    device: str,
    devices: int | None,
    profile: int,
) -> list[tuple[Path, EvaluationResult]]:
    """Train what was prepared, one run after another; ranks other than the first have no result to tell."""
    with distributed_run(prepare, device, devices) as ((place, runs), ranks, progress):
        from mamp_trainer.protocols.registry import run_protocol
        from mamp_trainer.training.runtime import RunContext

        results = []
        for loaded, run in runs:
            logger.info(f"recipe {loaded.name}, store {place}, run {run}")
            sitting = RunContext(run, resume, device, progress, ranks, profile, run_id())
            results.append((run, run_protocol(loaded, place, from_, sitting)))
    return results if ranks.is_main else []


def _print_result(run: Path, result: EvaluationResult, store: str | None) -> None:
    print_summary(run, f"{result.epochs} epochs, {result.clips:,} test clips")
    rows = [
        ("last", result.epochs, f"{result.last_top1:.2f}", f"{result.last_top5:.2f}"),
        ("best", result.best_epoch, f"{result.best_top1:.2f}", ""),
    ]
    print_table(rows, ("epoch", "number", "top-1 %", "top-5 %"))
    print_hint("evaluate", run, *(("--store", store) if store else ()))


def _print_draws(results: Sequence[tuple[Path, EvaluationResult]]) -> None:
    rows = [
        (run, f"{result.last_top1:.2f}", f"{result.last_top5:.2f}", f"{result.best_top1:.2f}", result.best_epoch)
        for run, result in results
    ]
    print_table(rows, ("run", "last, top-1 %", "top-5 %", "best, top-1 %", "of epoch"))
    last, best = (Spread.of([getattr(result, name) for _, result in results]) for name in ("last_top1", "best_top1"))
    print_line(f"top-1 over {last.runs} draws: last epoch {last}, best epoch {best}")
    print_hint("runs", "compare", *(run for run, _ in results))


def _draws_json(results: Sequence[EvaluationResult]) -> object:
    """Return one result as it is, several with their spread."""
    if len(results) == 1:
        return results[0].model_dump(mode="json")
    spread = {name: Spread.of([getattr(result, name) for result in results]) for name in ("last_top1", "best_top1")}
    return {
        "draws": [result.model_dump(mode="json") for result in results],
        **{name: each.model_dump(mode="json") for name, each in spread.items()},
    }


app = typer.Typer(help="Train on a store.", no_args_is_help=True)


@app.command("pretrain")
def pretrain(
    recipe: RecipeOption = None,
    store: StoreOption = None,
    set_: SetOption = None,
    out: RunDirOption = None,
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
        from mamp_trainer.objectives.pretrain import pretrain as train

        logger.info(f"recipe {loaded.name}, store {place}, run {run}")
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


add_protocol_commands(app)
